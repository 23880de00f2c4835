"""What comes back of our own transcripts is what was said in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import Action, Event, Final, Message, Routing, Thinking, Token, ToolResult, Validation
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import new_presenter


def shown(*events: Event) -> str:
    presenter = new_presenter("transcript")
    return "".join(part.text for event in events for part in presenter.show(event))


WORK = (
    Routing("Supervisor", "asks for totals", "data", "Data analysis", 0.9, "rules"),
    Thinking("SQLAgent", "I will look it up."),
    Action("SQLAgent", "query", '{"sql": "SELECT 1"}', "c1"),
    Validation("ValidationAgent", "approved: one read-only SELECT", True),
    ToolResult("Database", "query", "| a |\n| --- |\n| 1 |", "c1", summary="1 row"),
)


def test_the_answer_is_what_is_left_of_a_transcript() -> None:
    answer = (Token("AnalysisAgent", "East **won**.\n\n- by far", "final"), Message("AnalysisAgent", "...", True))
    assert undecorate(shown(*WORK, *answer)) == "East **won**.\n\n- by far"


def test_without_an_answer_everything_that_was_said_is_left() -> None:
    said = (Message("Writer", "a draft"), Message("Reviewer", "good"))
    assert undecorate(shown(*said)) == "a draft\n\ngood"


def test_a_whole_unstreamed_answer() -> None:
    assert undecorate(shown(*WORK, Final("AnalysisAgent", "East"))) == "East"


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "two\n\nparagraphs with **bold**",
        "```html\n<details>\n<summary>mine</summary>\n\nkept\n\n</details>\n```",
        "<details> never closed\n\nkept",
        "kept\n</details>",
        "a\u200bb and a joined \u200b one",
        "a list:\n- 🎯 goal\n- ✅ done",
        "✅ yes\n❌ no",
    ],
)
def test_what_is_not_ours_stays(text: str) -> None:
    assert undecorate(text) == text


@given(st.text())
def test_never_raises_and_never_adds(text: str) -> None:
    assert len(undecorate(text)) <= len(text)
