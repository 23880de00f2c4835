"""What comes back of our own transcripts is what was said in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.model import Presentation
from aiostream_server.events import (
    Action,
    Answer,
    Error,
    Event,
    InputRequested,
    Message,
    Restarted,
    Routing,
    RunFinished,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Validation,
)
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import Page, new_presenter
from tests.kit.cpu import takes_less_than
from tests.present.telling import Told, runs
from tests.present.test_escaping import OTHERS_TEXT
from tests.present.test_page import PRESENTATIONS

END = RunFinished("stop", TokenCount(), 0.1)


def shown(*events: Event, page: Page | None = None, by: Presentation = "transcript") -> str:
    presenter = new_presenter(by, page)
    return "".join(part.text for event in events for part in presenter.show(event) if part.channel == "content")


@st.composite
def said(draw: st.DrawFn) -> list[Event]:
    """What two agents say, streamed and not, with tools between."""
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 4))):
        agent, text = draw(st.sampled_from(["Ann", "Bob"])), draw(OTHERS_TEXT)
        match draw(st.sampled_from(["final", "message", "whole", "verdict", "call", "result"])):
            case "whole":
                events.append(Message(agent, text))
            case "verdict":
                events.append(Validation(agent, text, approved=True))
            case "call":
                events.append(Action(agent, "tool", text, "c"))
            case "result":
                events.append(ToolResult(agent, "tool", text, "c", summary="found"))
            case kind:
                events += [Token(agent, char, kind) for char in text]  # type: ignore[arg-type]
                events.append(Message(agent, text, streamed=True))
    return [*events, END]


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
    assert undecorate(shown(*WORK, Answer("AnalysisAgent", "East"))) == "East"


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
        "Comparison:\n✅ **Pros** cheap\n✅ **Fast** yes\n❌ **Cons** slow\nSo take plan B.",
        "Steps\n🎯 **Goal**: 5 M\n✅ **Done**: 3 M",
        "Steps:\n\n✅ **Done**\n\n3 M\n\n❌ open",
        "✅ **Pros** cheap\n❌ **Cons** slow",
    ],
)
def test_what_is_not_ours_stays(text: str) -> None:
    assert undecorate(text) == text


@given(st.text())
def test_never_raises_and_never_adds(text: str) -> None:
    assert len(undecorate(text)) <= len(text)


@given(said())
def test_what_a_page_was_shown_comes_back_as_what_others_were_shown(events: list[Event]) -> None:
    for by in ("transcript", "answer"):
        assert undecorate(shown(*events, page=Page(), by=by)) == undecorate(shown(*events, by=by))


@given(runs())
def test_whole_runs_do_too(told: Told) -> None:
    assert undecorate(shown(*told.events[:-2], END, page=Page())) == undecorate(shown(*told.events[:-2], END))


@pytest.mark.parametrize("by", PRESENTATIONS)
def test_what_was_said_before_the_team_began_again_goes(by: Presentation) -> None:
    half = (*WORK, Token("AnalysisAgent", "The tot", "final"), Restarted(2))
    whole = (Token("AnalysisAgent", "It is 7.", "final"), Answer("AnalysisAgent", "It is 7.", streamed=True), END)
    assert undecorate(shown(*half, *whole, by=by)) == "It is 7."


def test_late_work_goes() -> None:
    work = (Thinking("SQLAgent", "I look."), *WORK)
    events: list[Event] = [Token("A", "First", "final"), Message("A", "First", True), *work, Answer("A", "then")]
    assert undecorate(shown(*events, END, page=Page(), by="reasoning")) == "First\n\n\nthen"


def test_a_list_of_signs_inside_a_transcript_stays() -> None:
    said = "Plan A:\n✅ **Pros** cheap\n❌ **Cons** slow\nSo take plan B."
    answer = (Token("AnalysisAgent", said, "final"), Message("AnalysisAgent", said, True))
    assert undecorate(shown(*WORK, *answer)) == said
    assert undecorate(shown(*WORK, *answer).replace("\n", "\r\n")) == said


def test_why_a_run_failed_goes() -> None:
    assert (
        undecorate(shown(*WORK, Message("A", "so far"), Error("model_failed", "it broke off")))
        == "I will look it up.\n\nso far"
    )


def test_who_waited_for_an_answer_goes() -> None:
    events = (Answer("A", "Which year?"), InputRequested("A", "Which year?"))
    assert undecorate(shown(*events)) == "Which year?"
    assert undecorate("🙋 *<\u200bA> waits for your answer*") == ""


@pytest.mark.parametrize(
    "block",
    [
        '<details type="reasoning" duration="3">\n<summary>Thought for 3 seconds</summary>\n> hm\n</details>',
        "<details>\n<summary>mine</summary>\n\nkept\n\n</details>",
        "<details>\n<details>\ninner\n</details>\n</details>",
        "<details><summary>a</summary>b</details>",
        "<details>\n```\n</details>\n```\n</details>",
    ],
)
def test_complete_blocks_go_whoever_made_them(block: str) -> None:
    assert undecorate(f"before\n\n{block}\nafter") == "before\n\nafter"


def test_an_open_block_keeps_no_complete_one() -> None:
    assert undecorate("<details>\na\n<details>\nb\n</details>\nc") == "<details>\na\nc"


@pytest.mark.parametrize(
    "line",
    [
        "<details>",
        "</details>",
        "```",
        "~~~~ x",
        "<details>x</details>",
        "`" * 60,
        "<details>\n<summary>⚡ a</summary>",
    ],
)
def test_many_lines_take_no_more_than_linear_time(line: str) -> None:
    with takes_less_than(1):
        undecorate(f"{line}\n" * 30_000 + "</details>")
