"""Spans of agents and tools, derived from events: in any order of events they nest, and all end."""

from collections.abc import Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiostream_server.events import Action, Message, Thinking, Token, ToolResult, Validation
from aiostream_server.service.tracing.agent_spans import AgentEvent, AgentSpans, AgentTurn


class _Run:
    """A run with events from the test; `over` returns its spans in the order of their start."""

    def __init__(self, *, content: bool = False) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self._span = provider.get_tracer("test").start_span("run")
        self.agents = AgentSpans(provider.get_tracer("test"), self._span.get_span_context(), content=content)
        self.agents.begin()

    def does(self, *events: AgentEvent) -> "_Run":
        for event in events:
            self.agents.does(event)
        return self

    def over(self) -> Sequence[ReadableSpan]:
        self.agents.end(outcome="stop")
        self._span.end()
        return sorted(self._kept.get_finished_spans(), key=lambda span: (span.start_time or 0, -(span.end_time or 0)))

    def tree(self) -> list[tuple[str, str]]:
        """Each span with the name of its parent."""
        spans = self.over()
        names = {span.context.span_id: span.name for span in spans if span.context is not None}
        return [(span.name, names[span.parent.span_id]) for span in spans if span.parent is not None]


def _call(agent: str, call_id: str, tool: str = "look") -> Action:
    return Action(agent, tool, "{}", call_id)


def _answer(agent: str, call_id: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(agent, "look", "seen", call_id, is_error)


def _attribute(run: _Run, span_name: str, name: str) -> list[object]:
    return [(span.attributes or {}).get(name) for span in run.over() if span.name == span_name]


def test_an_agent_that_returns_after_another_has_a_second_turn() -> None:
    run = _Run().does(Message("A", "x"), Message("B", "x"), Message("A", "x"), Message("A", "x"))
    assert run.tree() == [("invoke_agent A", "run"), ("invoke_agent B", "run"), ("invoke_agent A", "run")]


def test_the_turn_of_an_agent_tool_is_a_child_of_the_tool_call() -> None:
    run = _Run().does(_call("A", "1", "Expert"), Message("Expert", "x"), _answer("A", "1"), Message("A", "x"))
    assert run.tree() == [
        ("invoke_agent A", "run"),
        ("execute_tool Expert", "invoke_agent A"),
        ("invoke_agent Expert", "execute_tool Expert"),
    ]


def test_a_failed_and_a_refused_tool_call_have_their_error_type() -> None:
    run = _Run().does(_call("A", "1"), _answer("A", "1", is_error=True), _call("A", "2"), Validation("V", "no", False))
    assert _attribute(run, "execute_tool look", "error.type") == ["tool_error", "refused"]


def test_a_verdict_without_a_tool_call_is_only_a_turn() -> None:
    assert _Run().does(Validation("V", "no", False)).tree() == [("invoke_agent V", "run")]


def test_call_ids_may_repeat() -> None:
    """Within one agent, which restarts the numbers with each answer, and in two parallel agents."""
    run = _Run().does(_call("A", "1"), _call("A", "1"), _call("B", "1"), _answer("B", "1"), _answer("A", "1"))
    run.does(_answer("A", "1"), _answer("A", "9"))
    spans = [span for span in run.over() if span.name == "execute_tool look"]
    assert [(span.attributes or {}).get("aiostream.outcome") for span in spans] == ["unanswered", None, None]
    assert (spans[2].end_time or 0) <= (spans[1].end_time or 0)


def test_a_model_call_ends_the_earlier_tool_calls_of_its_agent() -> None:
    """Also those without a result."""
    run = _Run().does(_call("A", "1"))
    turn = run.agents.begin_call("A")
    assert turn is not None
    run.agents.end_call(turn, 0)
    assert _attribute(run, "execute_tool look", "aiostream.outcome") == ["unanswered"]


def test_message_texts_are_attributes_only_if_configured() -> None:
    said = (Thinking("A", "hm"), Token("A", "o", "message"), Message("A", "oh"))
    assert _attribute(_Run().does(*said), "invoke_agent A", "gen_ai.output.messages") == [None]
    (kept,) = _attribute(_Run(content=True).does(*said), "invoke_agent A", "gen_ai.output.messages")
    assert kept == (
        '[{"role": "assistant", "parts": [{"type": "text", "content": "hm"}, {"type": "text", "content": "oh"}]}]'
    )


def test_events_before_and_after_the_work_of_the_team_are_no_turn() -> None:
    run = _Run()
    assert len(run.over()) == 1
    run.does(Message("A", "late"))
    assert run.agents.begin_call("A") is None
    assert len(run.over()) == 1


_AGENTS = st.sampled_from(("A", "B", "C"))
_IDS = st.sampled_from(("1", "2"))
_STEPS = st.one_of(
    st.builds(Message, _AGENTS, st.just("x")),
    st.builds(Validation, _AGENTS, st.just("x"), st.sampled_from((True, False, None))),
    st.builds(_call, _AGENTS, _IDS, st.sampled_from(("look", "B", "C"))),
    st.builds(_answer, _AGENTS, _IDS, is_error=st.booleans()),
    st.tuples(st.just("call"), st.one_of(_AGENTS, st.none())),
    st.just("end_call"),
)


@settings(max_examples=200)
@given(st.lists(_STEPS, max_size=25))
@example([_call("A", "1", "B"), _call("B", "2", "C"), Message("C", "x"), _answer("A", "1")])
@example([_call("A", "1", "B"), _call("B", "2", "C"), Message("C", "x"), ("call", None)])
def test_spans_nest_and_end_in_any_order_of_events(steps: list[object]) -> None:
    run, calls = _Run(content=True), list[AgentTurn]()
    for step in steps:
        match step:
            case ("call", (str() | None) as agent):
                turn = run.agents.begin_call(agent)
                assert turn is not None
                calls.append(turn)
            case "end_call":
                if calls:
                    run.agents.end_call(calls.pop(0), 0)
            case Message() | Validation() | Action() | ToolResult():
                run.does(step)
    spans = run.over()
    by_id = {span.context.span_id: span for span in spans if span.context is not None}
    tools = sum(span.name.startswith("execute_tool") for span in spans)
    assert tools == sum(isinstance(step, Action) for step in steps)
    for span in spans:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
        if span.parent is None:
            continue
        parent = by_id[span.parent.span_id]
        assert parent.start_time is not None
        assert parent.end_time is not None
        assert parent.start_time <= span.start_time
        assert span.end_time <= parent.end_time
