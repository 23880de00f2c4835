"""Every order of events: nothing is lost, and nothing comes twice."""

import re
from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from aiostream_server.config.model import Presentation
from aiostream_server.events import Answer, Error, Event, Message, RunFinished, Token, TokenCount
from aiostream_server.present import Page, Shown, new_presenter
from tests.present.telling import AGENTS, ANSWERER, Told, runs


def shown_by(presentation: Presentation, events: Iterable[Event]) -> list[Shown]:
    presenter = new_presenter(presentation)
    return [shown for event in events for shown in presenter.show(event)]


def text_of(shown: list[Shown], channel: str = "content") -> str:
    return "".join(each.text for each in shown if each.channel == channel)


@given(runs())
def test_a_transcript_has_every_word_once_and_each_agents_words_in_order(told: Told) -> None:
    text = text_of(shown_by("transcript", told.events))
    for agent, marks in told.marks.items():
        assert all(text.count(mark) == 1 for mark in marks), (agent, text)
        places = [text.index(mark) for mark in marks]
        assert places == sorted(places)


@given(runs())
def test_words_of_agents_that_speak_at_once_are_not_interleaved(told: Told) -> None:
    """The tokens of one message stand together."""
    text = text_of(shown_by("transcript", told.events))
    for message in (event for event in told.events if isinstance(event, Message) and event.streamed):
        assert message.content in text


@given(runs())
def test_a_block_comes_in_one_piece(told: Told) -> None:
    for presentation in ("transcript", "reasoning"):
        for shown in shown_by(presentation, told.events):
            assert shown.text.count("<details>") == shown.text.count("</details>") == int(shown.is_block)


@given(runs())
def test_reasoning_and_content_together_lose_nothing(told: Told) -> None:
    """The last message of a team without an answering agent is in both: it is work, and the answer."""
    shown = shown_by("reasoning", told.events)
    content, reasoning = text_of(shown), text_of(shown, "reasoning")
    for mark in (mark for agent in AGENTS for mark in told.marks[agent]):
        assert content.count(mark) <= 1
        assert reasoning.count(mark) <= 1
        assert mark in content + reasoning
    answer = [event.content for event in told.events if isinstance(event, Token) and event.kind == "final"]
    assert not any(text in reasoning for text in answer)


@given(runs())
def test_answer_shows_the_answering_agents_words_and_ends_with_the_answer(told: Told) -> None:
    text = text_of(shown_by("answer", told.events))
    answered = {event.content for event in told.events if isinstance(event, Token) and event.kind == "final"}
    if told.final is not None:
        assert text.endswith(told.final.content)
    if told.final is not None and not answered:
        assert text == told.final.content
    assert all(text.count(words) == 1 for words in answered)


@given(runs(at_once=False))
def test_no_token_waits_if_agents_take_turns(told: Told) -> None:
    """Each token is shown at once, but for the beginning of a line that may become one of our headings."""
    presenter = new_presenter("transcript")
    for event in told.events:
        shown = "".join(each.text for each in presenter.show(event))
        if isinstance(event, Token):
            *_, line = re.split(r"[\r\n]", event.content)
            may_wait = line != event.content and not line[:1].isalnum()
            assert shown.endswith((event.content, event.content.removesuffix(line)) if may_wait else event.content)


def _open_ends() -> Told:
    told = [Token("Bob", "half", "message"), Token("Cy", "a", "message"), Token("Cy", "b", "message")]
    return Told([*told, Error("c", "it broke"), RunFinished("error", TokenCount(), 0.0)], {}, None)


@given(runs())
@example(_open_ends())
def test_an_error_comes_after_the_events_that_waited(told: Told) -> None:
    for presentation in ("transcript", "reasoning"):
        shown = shown_by(presentation, told.events)
        if any(isinstance(event, Error) for event in told.events):
            assert shown[-1].text.strip() == "❌ it broke"
            assert shown[-1].channel == "content"


def test_what_waited_for_a_broken_message_is_reasoning() -> None:
    *waited, _ = shown_by("reasoning", _open_ends().events)
    assert text_of(waited, "reasoning").endswith("**Cy**\n\nab")
    assert {each.channel for each in waited} == {"reasoning"}


def test_messages_that_were_never_closed_are_shown_one_by_one() -> None:
    said = [("Bob", "b1 "), ("Cy", "c1 "), ("Ann", "a1 "), ("Bob", "b2"), ("Cy", "c2")]
    at_once = [Token(agent, text, "message") for agent, text in said]
    text = text_of(shown_by("transcript", [*at_once, RunFinished("cancelled", TokenCount(), 0.0)]))
    assert text == "💬 **Bob**\n\nb1 b2\n\n💬 **Cy**\n\nc1 c2\n\n💬 **Ann**\n\na1 "


def test_an_answer_before_another_agents_words_is_not_shown_again() -> None:
    said: list[Event] = [Message("Ann", "a draft"), Message("Bob", "fine"), Answer("Ann", "a draft")]
    assert text_of(shown_by("transcript", said)) == "💬 **Ann**\n\na draft\n\n💬 **Bob**\n\nfine"


def test_an_answer_that_reasoning_interrupted_is_not_shown_again() -> None:
    parts: list[Event] = [Token("Bob", "So ", "message"), Message("Bob", "So ", streamed=True),
             Token("Bob", "it is.", "message"), Message("Bob", "it is.", streamed=True)]  # fmt: skip
    assert text_of(shown_by("transcript", [*parts, Answer("Bob", "So it is.")])).count("it is.") == 1


def test_an_error_is_a_paragraph_after_an_unfinished_answer() -> None:
    events: list[Event] = [Token(ANSWERER, "The total", "final"), Error("c", "it broke")]
    for presentation in ("transcript", "reasoning"):
        assert text_of(shown_by(presentation, events)).endswith("The total\n\n❌ it broke")
    assert text_of(shown_by("answer", events)) == "The total"


@given(runs(), st.sampled_from(["transcript", "reasoning", "answer"]), st.sampled_from([None, Page()]))
def test_the_fast_path_of_a_token_shows_the_same(told: Told, presentation: Presentation, page: Page | None) -> None:
    short, long = new_presenter(presentation, page), new_presenter(presentation, page)
    for event in told.events:
        shown = list(long.show(event))
        if isinstance(event, Token) and (channel := short.continued(event)) is not None:
            assert shown == [Shown(event.content, channel)]
        else:
            assert list(short.show(event)) == shown
