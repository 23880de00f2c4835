"""Everything once: what the tap heard first and AutoGen repeats, with its traps (new ids, thoughts cut short)."""

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    ToolCallSummaryMessage,
)
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult, RequestUsage

from aiostream_server.events import (
    Action,
    Analysis,
    Answer,
    Message,
    ModelCalled,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Usage,
    Validation,
)
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta
from tests.runs.listening import Listening, listening

CALL = FunctionCall("c1", '{"a": 1}', "tool")
RESULT = FunctionExecutionResult(content="four", name="tool", call_id="c1", is_error=False)


def tell(run: Listening, *messages: BaseAgentEvent | BaseChatMessage) -> None:
    for message in messages:
        run.translator.translate(message)


def chunk(text: str, source: str = "A") -> ModelClientStreamingChunkEvent:
    return ModelClientStreamingChunkEvent(content=text, source=source)


def text(content: str, source: str = "A") -> TextMessage:
    return TextMessage(content=content, source=source)


async def test_tapped_words_are_not_repeated() -> None:
    run = listening("A", "B")
    await run.tapped("A", ThoughtDelta("hm"), "Hello ", "you")
    tell(run, ThoughtEvent(content="hm", source="A"), text("Hello you"))
    assert run.told == [
        Token("A", "hm", "thinking"),
        Thinking("A", "hm", streamed=True),
        Token("A", "Hello ", "message"),
        Token("A", "you", "message"),
        Message("A", "Hello you", streamed=True),
        Usage("A", 1, 3),
    ]
    assert run.recorder.last == Answer("A", "Hello you")
    assert run.recorder.answer is None
    assert tuple(run.recorder.agents) == ("A",)


async def test_words_that_come_twice_are_told_twice() -> None:
    run = listening("A", "B")
    await run.tapped("A", "ok")
    tell(run, text("ok"), text("ok"))
    assert [event for event in run.told if isinstance(event, Message)] == [
        Message("A", "ok", streamed=True),
        Message("A", "ok"),
    ]


async def test_autogen_may_lag_any_number_of_turns_behind() -> None:
    """The next turn's stream is not cut in two by the repetition of the one before."""
    run = listening("A", answer_from=("A",))
    await run.tapped("A", ThoughtDelta("t1"), "first")
    await run.tapped("A", ThoughtDelta("t2"), "second")
    run.recorder.say("A", [*(_deltas("thi"))])
    tell(
        run,
        ThoughtEvent(content="t1", source="A"),
        text("first"),
        ThoughtEvent(content="t2", source="A"),
        text("second"),
    )
    run.recorder.say("A", [*(_deltas("rd"))])
    await run.recorder.said("A", text="third", thought="", calls=(), end=End("stop"))
    tell(run, text("third"))
    messages = [event.content for event in run.told if isinstance(event, Message | Thinking)]
    assert messages == ["t1", "first", "t2", "second", "third"]
    assert run.recorder.answer == Answer("A", "third", streamed=True)


def _deltas(*texts: str) -> list[TextDelta]:
    return [TextDelta(text) for text in texts]


async def test_reasoning_in_the_middle_does_not_cut_the_answer() -> None:
    run = listening("A")
    await run.tapped("A", "So ", ThoughtDelta("hm"), "it is.")
    tell(run, ThoughtEvent(content="hm", source="A"), text("So it is."))
    assert [event.content for event in run.told if isinstance(event, Message)] == ["So ", "it is."]
    assert run.recorder.answer == Answer("A", "So it is.", streamed=True)


async def test_words_before_a_tool_call_are_thinking_and_no_answer() -> None:
    run = listening("A")
    await run.tapped("A", ThoughtDelta("hm"), "Let me look.", calls=[CALL])
    tell(
        run,
        ThoughtEvent(content="hm\n\nLet me look.", source="A"),
        ToolCallRequestEvent(content=[CALL], source="A"),
        ToolCallExecutionEvent(content=[RESULT], source="A"),
        ToolCallSummaryMessage(content="four", source="A", tool_calls=[CALL], results=[RESULT]),
    )
    assert run.told == [
        Token("A", "hm", "thinking"),
        Thinking("A", "hm", streamed=True),
        Token("A", "Let me look.", "final"),
        Thinking("A", "Let me look.", streamed=True),
        Action("A", "tool", '{"a": 1}', "c1"),
        Usage("A", 1, 2),
        ToolResult("A", "tool", "four", "c1"),
    ]
    assert run.recorder.answer == Answer("A", "four"), "a raw tool result is the answer"


async def test_a_model_that_numbers_each_answers_calls_afresh_is_heard_every_time() -> None:
    run = listening("A")
    for _ in range(2):
        await run.tapped("A", calls=[CALL])
        tell(
            run, ToolCallRequestEvent(content=[CALL], source="A"), ToolCallExecutionEvent(content=[RESULT], source="A")
        )
    kinds = [event.type for event in run.told if isinstance(event, Action | ToolResult)]
    assert kinds == ["action", "tool_result"] * 2


async def test_a_result_is_told_once() -> None:
    run = listening("A")
    await run.tapped("A", calls=[CALL])
    await run.recorder.returned("A", [RESULT])
    tell(run, ToolCallExecutionEvent(content=[RESULT], source="A"))
    await run.recorder.returned("A", [RESULT])
    assert [event for event in run.told if isinstance(event, ToolResult)] == [ToolResult("A", "tool", "four", "c1")]


async def test_two_agents_whose_calls_have_the_same_id_each_get_their_result() -> None:
    run = listening("L", "R")
    for agent in ("L", "R"):
        await run.tapped(agent, calls=[CALL])
    for agent in ("R", "L"):
        tell(
            run,
            ToolCallRequestEvent(content=[CALL], source=agent),
            ToolCallExecutionEvent(content=[RESULT], source=agent),
            ToolCallExecutionEvent(content=[RESULT], source=agent),
        )
    told = [(event.type, event.agent) for event in run.told if isinstance(event, Action | ToolResult)]
    assert told == [("action", "L"), ("action", "R"), ("tool_result", "R"), ("tool_result", "L")]
    assert run.recorder.calls.heard.unanswered == frozenset()


async def test_a_call_may_be_answered_under_another_name() -> None:
    """As the data team's database does."""
    run = listening("A", "Database")
    await run.tapped("A", calls=[CALL])
    tell(run, ToolCallExecutionEvent(content=[RESULT], source="Database"))
    tell(run, ToolCallExecutionEvent(content=[RESULT], source="A"))
    assert [event for event in run.told if isinstance(event, ToolResult)] == [
        ToolResult("Database", "tool", "four", "c1")
    ]
    assert run.recorder.calls.heard.unanswered == frozenset()


async def test_reasoning_is_not_what_an_agent_hands_over_with() -> None:
    run = listening("A")
    handoff = FunctionCall("c1", "{}", "transfer_to_user")
    moved = "Transferred to user, adopting the role of user immediately."
    for said, left in (((ThoughtDelta("hm"), "Blue?"), "Blue?"), ((ThoughtDelta("hm"),), moved)):
        await run.tapped("A", *said, calls=[handoff])
        tell(
            run,
            ThoughtEvent(content="hm", source="A"),
            ToolCallRequestEvent(content=[handoff], source="A"),
            ToolCallExecutionEvent(content=[RESULT.model_copy(update={"content": moved})], source="A"),
            HandoffMessage(content=moved, source="A", target="user"),
        )
        assert run.recorder.last is not None
        assert run.recorder.last.content == left


async def test_results_of_unknown_calls_are_not_told_by_the_tap() -> None:
    """The client's own tools, in the history."""
    run = listening("A")
    await run.recorder.returned("A", [RESULT])
    assert not run.told
    await run.tapped("A", calls=[CALL])
    strange = FunctionExecutionResult(content="?", name="theirs", call_id="c0")
    await run.recorder.returned("A", [strange, RESULT])
    assert [event.call_id for event in run.told if isinstance(event, ToolResult)] == ["c1"]


async def test_tools_that_gave_nothing_are_no_answer() -> None:
    run = listening("A")
    tell(run, ToolCallSummaryMessage(content="", source="A", tool_calls=[CALL], results=[RESULT]))
    assert run.recorder.answer is None


async def test_a_blocked_call_has_its_answer() -> None:
    run = listening("A", "V")
    await run.tapped("A", calls=[CALL])
    run.recorder.verdict("V", "blocked: no", approved=False, call_id="c1")
    await run.recorder.returned("A", [RESULT])
    assert run.told[-1] == Validation("V", "blocked: no", approved=False)
    run.recorder.verdict("V", "approved", approved=True, call_id="c2")
    assert run.told[-1] == Validation("V", "approved", approved=True)


def test_chunks_of_a_strange_client_are_told_once() -> None:
    """Reasoning inside them, and AutoGen's thought, which lost its ends on the way."""
    run = listening("A", "B")
    tell(run, chunk("<think>let me "), chunk("think</think>"), chunk("\n\nSo: "), chunk(""), chunk("42"))
    tell(run, ThoughtEvent(content="let me ", source="A"), text("So: 42"))
    assert run.told == [
        Token("A", "let me ", "thinking"),
        Token("A", "think", "thinking"),
        Thinking("A", "let me think", streamed=True),
        Token("A", "So: ", "message"),
        Token("A", "42", "message"),
        Message("A", "So: 42", streamed=True),
    ]


def test_a_tool_call_ends_the_chunks_before_it() -> None:
    run = listening("A", "B")
    tell(run, chunk("Let me "), chunk("look."), ThoughtEvent(content="Let me look.", source="A"))
    tell(run, ToolCallRequestEvent(content=[CALL], source="A"), ToolCallExecutionEvent(content=[RESULT], source="A"))
    tell(run, chunk("It "), chunk("rains."), text("It rains."))
    assert [event for event in run.told if not isinstance(event, Token)] == [
        Thinking("A", "Let me look.", streamed=True),
        Action("A", "tool", '{"a": 1}', "c1"),
        ToolResult("A", "tool", "four", "c1"),
        Message("A", "It rains.", streamed=True),
    ]


def test_a_message_that_differs_from_its_chunks_is_told() -> None:
    run = listening("A", "B")
    tell(run, chunk("draft"), text("final wording"))
    assert run.told[1:] == [Message("A", "draft", streamed=True), Message("A", "final wording")]


def test_a_thought_that_was_not_streamed_is_told() -> None:
    run = listening("A", "B")
    tell(run, ThoughtEvent(content="hm", source="A"), ThoughtEvent(content=" ", source="A"), text("<think>x</think>hi"))
    assert run.told == [Thinking("A", "hm"), Thinking("A", "x"), Message("A", "hi")]


async def test_an_agent_without_a_name_is_told_once() -> None:
    """A user's own team may run AutoGen's agents itself."""
    run = listening()
    await run.tapped(None, ThoughtDelta("hm"), "Hello")
    tell(run, ThoughtEvent(content="hm", source="Helper"), text("Hello", "Helper"))
    run.recorder.reported("Helper", RequestUsage(1, 1))
    assert [event.type for event in run.told] == ["token", "thinking", "token", "message", "usage"]
    assert run.recorder.hears(None)


def test_only_participants_are_heard() -> None:
    run = listening("A", "B")
    assert run.recorder.hears("A")
    assert not run.recorder.hears("SelectorGroupChatManager")
    assert listening().recorder.hears("Anybody")


async def test_a_lone_agent_is_known_without_a_name() -> None:
    run = listening("Solo")
    run.recorder.calling(None, "small")
    await run.tapped(None, "hi")
    assert run.told[:2] == [ModelCalled("Solo"), Token("Solo", "hi", "final")]


async def test_usage_of_a_strange_client_is_counted_and_ours_only_once() -> None:
    run = listening("A", "B")
    await run.tapped("A", "hi")
    message = text("hi")
    message.models_usage = RequestUsage(1, 1)
    tell(run, message)
    strange = text("ho", "B")
    strange.models_usage = RequestUsage(5, 6)
    tell(run, strange)
    assert run.recorder.usage == TokenCount(6, 7)
    assert [event for event in run.told if isinstance(event, Usage)] == [Usage("A", 1, 1), Usage("B", 5, 6)]


async def test_roles_decide_before_words() -> None:
    run = listening("A", "B", roles={"A": "analysis"})
    await run.tapped("A", "Validation passed.")
    await run.tapped("B", "Validation passed.")
    tell(run, text("In conclusion, no.", "B"), text("", "B"))
    assert [type(event) for event in run.told if not isinstance(event, Token | Usage)] == [
        Analysis,
        Validation,
        Analysis,
    ]


async def test_an_answering_agents_whole_message_is_the_answer_and_what_others_say_later_is_not() -> None:
    run = listening("A", "B", answer_from=("A",))
    tell(run, text("so"), text("fine", "B"))
    assert run.recorder.answer == Answer("A", "so", streamed=True)
    assert run.recorder.last == Answer("B", "fine")


async def test_never_more_than_the_budget_is_said() -> None:
    run = listening("A", limit=3)
    assert run.recorder.options == {"seed": 7, "max_tokens": 3}
    run.recorder.say("A", _deltas("a", "b"))
    run.recorder.say("A", _deltas("c"))
    assert not run.ends
    assert run.recorder.options["max_tokens"] == 1  # providers refuse 0
    run.recorder.say("A", _deltas("d", "e"))
    run.recorder.say("A", _deltas("f"))
    run.recorder.say("A", _deltas("g"))
    assert "".join(event.content for event in run.told if isinstance(event, Token)) == "abc"
    assert set(run.ends) == {"length"}


async def test_a_provider_that_stops_at_the_bound_it_was_told_ends_the_run() -> None:
    run = listening("A", limit=2)
    await run.tapped("A", "a", "b", finish_reason="length")
    assert set(run.ends) == {"length"}
    assert run.recorder.ended == "length"
    assert listening("A").recorder.options == {"seed": 7}


async def test_a_provider_that_stops_at_its_own_bound_does_not() -> None:
    run = listening("A", limit=9)
    await run.tapped("A", "a", finish_reason="length")
    ended = [run.recorder.ended]
    assert not run.ends
    await run.tapped("A", "b")
    assert [*ended, run.recorder.ended] == ["length", "stop"]


async def test_the_end_closes_what_is_open() -> None:
    run = listening("A", "B")
    run.recorder.say("A", _deltas("half"))
    run.recorder.close_all()
    run.recorder.close_all()
    assert run.told[1:] == [Message("A", "half", streamed=True)]
    assert run.recorder.first_token_at is not None
