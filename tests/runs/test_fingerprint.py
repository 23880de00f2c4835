"""A history is recognised by what was said, in whatever form an answer comes back, and by nothing less."""

import unicodedata
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.model import Presentation
from aiostream_server.events import Answer, Event, Message, RunFinished, RunStarted, Thinking, Token, TokenCount
from aiostream_server.intake.question import ImagePart, Role, Turn
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.log.memory import MemoryLog
from aiostream_server.present import Page, new_presenter
from aiostream_server.runs.fingerprint import answer_prints, fingerprint, standing_of
from tests.present.telling import Told, runs

ASKED = Turn("user", "Which region?")
SYSTEM = Turn("system", "Be brief.")
TEAM_SAYS: Sequence[Event] = (
    RunStarted("auto"),
    Token("Planner", "Let me see.", "thinking"),
    Thinking("Planner", "Let me see.", streamed=True),
    Message("Helper", "It is West, I think."),
    Token("Analyst", "West ", "final"),
    Token("Analyst", "(1,204).", "final"),
    Message("Analyst", "West (1,204).", streamed=True),
    Answer("Analyst", "West (1,204).", streamed=True),
    RunFinished("stop", TokenCount(), 0.1),
)


def _log_of(events: Sequence[Event]) -> MemoryLog:
    log = MemoryLog("run-1")
    for event in events:
        log.append(event)
    return log


def _shown(events: Sequence[Event], presentation: Presentation, page: Page | None = None) -> str:
    presenter = new_presenter(presentation, page)
    shown = (piece for event in events for piece in presenter.show(event))
    return "".join(piece.text for piece in shown if piece.channel == "content")


@pytest.mark.parametrize("page", [None, Page()])
@pytest.mark.parametrize("presentation", get_args(Presentation))
def test_an_answer_is_recognised_in_every_presentation(presentation: Presentation, page: Page | None) -> None:
    came_back = Turn("assistant", undecorate(_shown(TEAM_SAYS, presentation, page)))
    standing = standing_of([SYSTEM, ASKED, came_back])
    assert standing is not None
    assert standing.fingerprint == fingerprint([SYSTEM, ASKED])
    assert standing.answer in answer_prints(_log_of(TEAM_SAYS).since(0))


def test_an_answer_is_recognised_whatever_its_white_space_became() -> None:
    for text in ("West (1,204).", " West\n(1,204). ", "West\r\n\r\n(1,204)."):
        standing = standing_of([ASKED, Turn("assistant", text)])
        assert standing is not None
        assert standing.answer in answer_prints(_log_of(TEAM_SAYS).since(0))


@pytest.mark.parametrize(
    "text",
    ["West (1,205).", "West (1,204). Or East?", "", "West", "West (1.204).", "West (-1,204).", "west (1,204)."],
)
def test_an_answer_that_was_edited_is_another(text: str) -> None:
    standing = standing_of([ASKED, Turn("assistant", text)])
    assert standing is not None
    assert standing.answer not in answer_prints(_log_of(TEAM_SAYS).since(0))


def test_where_the_last_question_was_not_answered_no_state_belongs_to_it() -> None:
    for history in ([], [SYSTEM], [ASKED], [ASKED, Turn("assistant", "West"), ASKED]):
        assert standing_of(history) is None


IMAGE = ImagePart("image/png", "AAAA")


@pytest.mark.parametrize(
    "other",
    [
        [SYSTEM, ASKED._replace(text="Which country?")],
        [SYSTEM, ASKED._replace(images=(IMAGE,))],
        [SYSTEM, ASKED._replace(name="ann")],
        [SYSTEM, ASKED, ASKED],
        [SYSTEM, ASKED._replace(role="assistant")],
    ],
)
def test_a_message_that_differs_makes_another_history(other: list[Turn]) -> None:
    assert fingerprint(other) != fingerprint([SYSTEM, ASKED])


def test_another_picture_makes_another_history() -> None:
    pictures = [ASKED._replace(images=(ImagePart("image/png", data),)) for data in ("AAAA", "AAAB")]
    assert len({fingerprint([picture]) for picture in pictures}) == 2


def test_system_messages_are_no_part_of_it() -> None:
    """They may tell the time, or what else changes with each request."""
    assert fingerprint([ASKED]) == fingerprint([SYSTEM, ASKED]) == fingerprint([SYSTEM._replace(text="x"), ASKED])


def test_two_queries_that_differ_in_an_operator_are_two_answers() -> None:
    shown = ("price > 100", "price < 100", "a = 'Y'", "a != 'Y'", "- 1.5", "15", "\U0001f44d", "")
    prints = {standing.answer for text in shown if (standing := standing_of([ASKED, Turn("assistant", text)]))}
    assert len(prints) == len(shown)


def test_what_a_client_found_for_one_request_only_is_no_part_of_the_conversation() -> None:
    """Open WebUI sends the question alone once it has become history."""
    template = "### Task:\nRespond to the user query using the provided context, incorporating inline citations\n"
    wrapped = f"{template}<context>\nof all kinds\n</context>\n\n{ASKED.text}"
    assert fingerprint([Turn("user", wrapped)]) == fingerprint([ASKED])


_ROLES = st.sampled_from(get_args(Role)[:3])
_TURNS = st.lists(st.tuples(_ROLES, st.text(max_size=8)).map(lambda said: Turn(*said)), max_size=4)


@given(_TURNS, _TURNS)
def test_two_histories_have_one_fingerprint_only_where_they_say_the_same(one: list[Turn], other: list[Turn]) -> None:
    def said(turns: list[Turn]) -> list[tuple[str, str]]:
        told = {"assistant": lambda text: unicodedata.normalize("NFC", "".join(text.split()))}
        return [(turn.role, told.get(turn.role, str.strip)(turn.text)) for turn in turns if turn.role != "system"]

    assert (fingerprint(one) == fingerprint(other)) == (said(one) == said(other))


@given(_TURNS, _TURNS)
def test_a_fingerprint_goes_on_from_that_of_the_turns_before(before: list[Turn], new: list[Turn]) -> None:
    assert fingerprint(new, after=fingerprint(before)) == fingerprint([*before, *new])


def test_a_fingerprint_goes_on_from_where_a_conversation_stands() -> None:
    answered, next_one = Turn("assistant", "West."), Turn("user", "And which city?")
    standing = standing_of([SYSTEM, ASKED, answered])
    assert standing is not None
    gone_on = fingerprint([standing.since[0], next_one], after=standing.fingerprint)
    assert gone_on == fingerprint([SYSTEM, ASKED, answered, next_one])


@given(st.lists(st.sampled_from(["West", "\ud800", "é", "**x**", " "]), min_size=1, max_size=4))
def test_any_text_has_a_fingerprint(words: list[str]) -> None:
    text = "".join(words)
    assert fingerprint([Turn("user", text)]) == fingerprint([Turn("user", text)])


@given(runs())
def test_tokens_that_one_agent_says_in_a_row_make_no_difference(told: Told) -> None:
    log = _log_of(told.events)
    assert answer_prints(log.condensed()) == answer_prints(log.since(0))
