"""Turns and tools, found from what a run tells: whatever that is, spans nest, and none stays open."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiostream_server.events import Action, Message, Thinking, Token, ToolResult, Validation
from aiostream_server.service.tracing.turns import AgentEvent, Turn, Turns


class _Run:
    """A run that is told of by hand; `over` gives its spans in the order in which they began."""

    def __init__(self, *, content: bool = False) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self._span = provider.get_tracer("test").start_span("run")
        self.turns = Turns(provider.get_tracer("test"), self._span.get_span_context(), content=content)
        self.turns.begin()

    def does(self, *events: AgentEvent) -> "_Run":
        for event in events:
            self.turns.does(event)
        return self

    def over(self) -> Sequence[ReadableSpan]:
        self.turns.end(outcome="stop")
        self._span.end()
        return sorted(self._kept.get_finished_spans(), key=lambda span: (span.start_time or 0, -(span.end_time or 0)))

    def tree(self) -> list[tuple[str, str]]:
        """Each span, and its parent's name."""
        spans = self.over()
        names = {span.context.span_id: span.name for span in spans if span.context is not None}
        return [(span.name, names[span.parent.span_id]) for span in spans if span.parent is not None]


def _call(agent: str, call_id: str, tool: str = "look") -> Action:
    return Action(agent, tool, "{}", call_id)


def _answer(agent: str, call_id: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(agent, "look", "seen", call_id, is_error)


def _attribute(run: _Run, span_name: str, name: str) -> list[object]:
    return [(span.attributes or {}).get(name) for span in run.over() if span.name == span_name]


def test_an_agent_that_comes_again_has_a_turn_of_its_own() -> None:
    run = _Run().does(Message("A", "x"), Message("B", "x"), Message("A", "x"), Message("A", "x"))
    assert run.tree() == [("invoke_agent A", "run"), ("invoke_agent B", "run"), ("invoke_agent A", "run")]


def test_an_agent_that_is_used_as_a_tool_works_inside_of_it() -> None:
    run = _Run().does(_call("A", "1", "Expert"), Message("Expert", "x"), _answer("A", "1"), Message("A", "x"))
    assert run.tree() == [
        ("invoke_agent A", "run"),
        ("execute_tool Expert", "invoke_agent A"),
        ("invoke_agent Expert", "execute_tool Expert"),
    ]


def test_a_tool_that_fails_or_is_refused_says_so() -> None:
    run = _Run().does(_call("A", "1"), _answer("A", "1", is_error=True), _call("A", "2"), Validation("V", "no", False))
    assert _attribute(run, "execute_tool look", "error.type") == ["tool_error", "refused"]


def test_a_verdict_without_a_call_is_a_turn_and_nothing_else() -> None:
    assert _Run().does(Validation("V", "no", False)).tree() == [("invoke_agent V", "run")]


def test_ids_of_calls_may_come_again() -> None:
    """Of one agent, which numbers each answer's calls afresh, and of two side by side."""
    run = _Run().does(_call("A", "1"), _call("A", "1"), _call("B", "1"), _answer("B", "1"), _answer("A", "1"))
    run.does(_answer("A", "1"), _answer("A", "9"))
    spans = [span for span in run.over() if span.name == "execute_tool look"]
    assert [(span.attributes or {}).get("aiostream.outcome") for span in spans] == ["unanswered", None, None]
    assert (spans[2].end_time or 0) <= (spans[1].end_time or 0)


def test_a_model_that_is_asked_again_has_its_answers() -> None:
    """Also where a tool's was never told."""
    run = _Run().does(_call("A", "1"))
    turn = run.turns.begin_call("A")
    assert turn is not None
    run.turns.end_call(turn, 0)
    assert _attribute(run, "execute_tool look", "aiostream.outcome") == ["unanswered"]


def test_what_an_agent_says_is_kept_only_if_it_is_asked_for() -> None:
    said = (Thinking("A", "hm"), Token("A", "o", "message"), Message("A", "oh"))
    assert _attribute(_Run().does(*said), "invoke_agent A", "gen_ai.output.messages") == [None]
    (kept,) = _attribute(_Run(content=True).does(*said), "invoke_agent A", "gen_ai.output.messages")
    assert kept == (
        '[{"role": "assistant", "parts": [{"type": "text", "content": "hm"}, {"type": "text", "content": "oh"}]}]'
    )


def test_before_the_team_works_and_after_it_nothing_is_a_turn() -> None:
    run = _Run()
    assert len(run.over()) == 1
    run.does(Message("A", "late"))
    assert run.turns.begin_call("A") is None
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
def test_whatever_is_told_spans_nest_and_end(steps: list[object]) -> None:
    run, calls = _Run(content=True), list[Turn]()
    for step in steps:
        match step:
            case ("call", (str() | None) as agent):
                turn = run.turns.begin_call(agent)
                assert turn is not None
                calls.append(turn)
            case "end_call":
                if calls:
                    run.turns.end_call(calls.pop(0), 0)
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
