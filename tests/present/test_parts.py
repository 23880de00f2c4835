"""Events -> parts: every message is opened and closed once, has its text once, and is not interrupted."""

from collections import defaultdict
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import (
    Action,
    Analysis,
    Answer,
    Dropped,
    Error,
    Event,
    Message,
    RunFinished,
    RunStarted,
    Speech,
    Thinking,
    Token,
    TokenCount,
    ToolRequested,
    Usage,
    Validation,
)
from aiostream_server.present.parts import Closed, Opened, Part, Parts
from tests.present.telling import Told, runs

MESSAGE = (Opened, Token, Closed)
END = RunFinished("stop", TokenCount(), 0.1)


def parts_of(events: Iterable[Event]) -> list[Part]:
    parts = Parts()
    return [part for event in events for part in parts.of(event)]


def messages(parts: Iterable[Part]) -> list[tuple[Opened, str, Closed]]:
    """Every message with its text; fails if another part interrupts one."""
    found: list[tuple[Opened, str, Closed]] = []
    opened: Opened | None = None
    text = ""
    for part in parts:
        if isinstance(part, Opened):
            assert opened is None
            opened, text = part, ""
        elif isinstance(part, Token):
            assert opened is not None
            assert (part.agent, part.kind) == (opened.agent, opened.kind)
            text += part.content
        elif isinstance(part, Closed):
            assert opened is not None
            assert (part.agent, part.kind) == (opened.agent, opened.kind)
            assert text, "a message has at least one token"
            found.append((opened, text, part))
            opened = None
        else:
            assert opened is None, "nothing interrupts a message"
    assert opened is None, "the end of the run closes what is open"
    return found


_AGENTS = st.sampled_from(["A", "B", "C"])
_TEXTS = st.sampled_from(["a", "b", "a\nb", " "])
_ANY_EVENT: st.SearchStrategy[Event] = st.one_of(
    st.builds(Token, _AGENTS, _TEXTS, st.sampled_from(["thinking", "message", "final"])),
    st.builds(Token, _AGENTS, _TEXTS, st.just("message")),
    *(st.builds(kind, _AGENTS, _TEXTS, streamed=st.booleans()) for kind in (Thinking, Analysis, Message, Answer)),
    st.builds(Validation, _AGENTS, _TEXTS, st.sampled_from([None, True]), st.booleans()),
    st.builds(Action, _AGENTS, st.just("t"), st.just("{}"), st.just("c")),
    st.builds(ToolRequested, _AGENTS, st.just("t"), st.just("{}"), st.just("c")),
    st.builds(Usage, _AGENTS, st.just(1), st.just(1)),
    st.builds(Dropped, st.just(1)),
)
_ENDS = st.sampled_from([[END], [Error("c", "m"), END]])


@given(st.lists(_ANY_EVENT, max_size=12), _ENDS)
def test_every_message_is_opened_and_closed_once_whatever_the_order_of_events(
    events: list[Event], end: list[Event]
) -> None:
    parts = parts_of([RunStarted("m"), *events, *end])
    messages(parts)
    assert parts[-1] == END


@given(st.lists(_ANY_EVENT, max_size=12), _ENDS)
def test_nothing_is_lost_and_nothing_comes_twice(events: list[Event], end: list[Event]) -> None:
    """Per agent: the tokens and the messages that were not streamed, in order; every other event once."""
    said, told = defaultdict(list), defaultdict(list)
    for event in events:
        if isinstance(event, Token) or (isinstance(event, Speech) and not event.streamed and event.content.strip()):
            said[event.agent].append(event.content)
    parts = parts_of([*events, *end])
    for part in parts:
        if isinstance(part, Token):
            told[part.agent].append(part.content)
    assert told == said
    passed = [event for event in [*events, *end] if not isinstance(event, Token | Speech | Usage)]
    assert sorted(map(repr, passed)) == sorted(
        map(repr, (x for x in parts if not isinstance(x, Opened | Token | Closed)))
    )


@given(runs())
def test_a_message_is_closed_by_the_event_that_repeats_it(told: Told) -> None:
    for opened, text, closed in messages(parts_of(told.events)):
        assert closed.said is None or closed.said.content == text
        assert opened.whole is None or opened.whole is closed.said
        assert closed.said is not None or any(isinstance(event, Error) for event in told.events)


@given(runs())
def test_a_repeated_answer_is_marked(told: Told) -> None:
    """The answer at the end of a run always repeats a message."""
    answers = [opened for opened, _, _ in messages(parts_of(told.events)) if isinstance(opened.whole, Answer)]
    assert all(opened.is_repeated for opened in answers)
    assert len(answers) == (told.final is not None and not told.final.streamed)


def test_an_answer_repeats_messages_between_which_its_agent_was_thinking() -> None:
    events: list[Event] = [Message("A", "one "), Thinking("A", "hm"), Message("A", "two"), Answer("A", "one two")]
    assert [opened.is_repeated for opened, _, _ in messages(parts_of([*events, END]))] == [False, False, False, True]
    other: list[Event] = [*events[:-1], Answer("B", "one two"), END]
    assert [opened.is_repeated for opened, _, _ in messages(parts_of(other))] == [False] * 4


def test_other_agents_wait_until_a_message_is_closed() -> None:
    parts = Parts()
    a, b = Token("A", "a", "message"), Token("B", "b", "message")
    assert list(parts.of(a)) == [Opened("A", "message"), a]
    assert list(parts.of(b)) == []
    assert list(parts.of(Action("B", "t", "{}", "c"))) == []
    whole = Message("A", "a", streamed=True)
    waited = [Opened("B", "message"), b, Closed("B", "message", None), Action("B", "t", "{}", "c")]
    assert list(parts.of(whole)) == [Closed("A", "message", whole), *waited]


def test_a_streamed_message_turns_out_to_be_of_another_kind() -> None:
    """What is said before a tool call is thinking, once the call is there."""
    token, whole = Token("A", "I look.", "message"), Thinking("A", "I look.", streamed=True)
    assert parts_of([token, whole]) == [Opened("A", "message"), token, Closed("A", "message", whole)]
