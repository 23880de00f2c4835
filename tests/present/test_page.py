"""A run as Open WebUI's page shows it."""

import html
import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.config.model import Presentation
from aiostream_server.events import (
    Action,
    Answer,
    Dropped,
    Error,
    Event,
    InputRequested,
    Message,
    Routing,
    RunFinished,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Validation,
)
from aiostream_server.events.breaks import BREAK, without_breaks
from aiostream_server.present import Page, Shown, new_presenter, routed_presenter
from tests.present.telling import Told, runs
from tests.present.test_escaping import OTHERS_TEXT, REASONING

PRESENTATIONS: tuple[Presentation, ...] = ("transcript", "reasoning", "answer")
END = RunFinished("stop", TokenCount(), 0.1)


def shown_by(presentation: Presentation, events: Iterable[Event], page: Page | None = Page()) -> list[Shown]:  # noqa: B008
    presenter = new_presenter(presentation, page)
    return [shown for event in events for shown in presenter.show(event)]


def text_of(shown: Iterable[Shown], channel: str = "content") -> str:
    return "".join(each.text for each in shown if each.channel == channel)


def streamed(agent: str, text: str, kind: str = "final") -> list[Event]:
    return [*(Token(agent, char, kind) for char in text), Message(agent, text, streamed=True)]  # type: ignore[arg-type]


@settings(max_examples=60)
@given(runs())
def test_ordinary_runs_look_the_same_as_without_a_page_except_for_errors_and_calls(told: Told) -> None:
    """All words are shown, none is held back at the end."""
    events = [event for event in told.events if not isinstance(event, Error | Action)]
    for presentation in ("transcript", "answer"):
        there, here = shown_by(presentation, events, None), shown_by(presentation, events)
        assert [html.unescape(each.text) for each in here if each.is_block] == [
            html.unescape(each.text) for each in there if each.is_block
        ]
        words = [text_of(each for each in shown if not each.is_block) for shown in (here, there)]
        assert without_breaks(words[0]) == without_breaks(words[1])


@settings(max_examples=60)
@given(runs())
def test_no_reasoning_follows_the_first_words_of_the_answer_and_every_word_is_shown(told: Told) -> None:
    shown = shown_by("reasoning", told.events)
    channels = [each.channel for each in shown]
    assert "reasoning" not in channels[channels.index("content") :] if "content" in channels else True
    text = without_breaks(html.unescape(text_of(shown) + text_of(shown, "reasoning")))
    assert all(mark in text for marks in told.marks.values() for mark in marks)


@given(OTHERS_TEXT, st.sampled_from(PRESENTATIONS))
def test_text_that_was_held_back_is_shown_at_every_kind_of_end(text: str, presentation: Presentation) -> None:
    for end in ([Message("A", text, streamed=True)], [Error("c", "m")], [END], [Dropped(1)], []):
        shown = text_of(shown_by(presentation, [*streamed("A", text)[:-1], *end, Message("B", "x"), END]))
        words = without_breaks(shown)
        assert without_breaks(text) in words


def test_reasoning_tags_of_agents_tools_and_names_are_split() -> None:
    bad = "<think>x</think><|begin_of_thought|>◁think▷"
    events: list[Event] = [
        Routing("<think>", bad, "t", bad, 0.5, "rules"),
        Thinking("<think>", bad),
        Action("A", bad, json.dumps({"sql": bad}), "c"),
        ToolResult("A", bad, bad, "c", summary=bad),
        ToolResult("A", "t", f"| a |\n| --- |\n| {bad} |", "c", summary=bad),
        Validation("A", bad, approved=True),
        *streamed("A", bad),
        Thinking("A", bad),
        Action("A", bad, bad, "c"),
        InputRequested(bad, bad),
        END,
    ]
    for presentation in PRESENTATIONS:
        assert not REASONING.search(text_of(shown_by(presentation, events)))


def test_a_block_holds_no_markup_before_the_page_decodes_it_and_the_text_after() -> None:
    text = "a < b </details> &lt; ![x](y) ``` $$ <think>"
    for event in (Action("A", "t", json.dumps({"sql": text}), "c"), ToolResult("A", "t", text, "c", summary="s")):
        ((here,), (there,)) = shown_by("transcript", [event, END]), shown_by("transcript", [event], None)
        body = here.text.split("</summary>")[1].removesuffix("</details>")
        assert not any(sign in body for sign in ("<", "![", "```", "$"))
        assert html.unescape(body) == there.text.split("</summary>")[1].removesuffix("</details>")


CALL = Action("A", "query", json.dumps({"sql": "SELECT\n1"}), "c1")
RESULT = ToolResult("A", "query", "| a |\n| ---: |\n| 1 |", "c1", summary="1 row")


def test_a_call_and_its_result_are_one_block_where_nothing_comes_between() -> None:
    (block,) = shown_by("transcript", [CALL, RESULT, END])
    assert block.text == (
        "<details>\n<summary>📦 query: 1 row</summary>\n\n&#96;&#96;&#96;sql\nSELECT\n1\n&#96;&#96;&#96;\n\n"
        "| a |\n| ---: |\n| 1 |\n\n</details>"
    )
    failed = ToolResult("A", "query", "no such table", "c1", is_error=True)
    assert "<summary>📦 query failed</summary>" in shown_by("transcript", [CALL, failed, END])[0].text


@pytest.mark.parametrize(
    "between", [Message("B", "hm"), Action("A", "other", "{}", "c2"), ToolResult("A", "other", "x", "c2")]
)
def test_a_call_is_shown_by_itself_as_soon_as_anything_else_comes(between: Event) -> None:
    first, *_ = shown_by("transcript", [CALL, between])
    assert first.text.startswith("<details>\n<summary>⚡ query</summary>")
    titles = [each.text for each in shown_by("transcript", [CALL, between, RESULT, END]) if "1 row" in each.text]
    assert len(titles) == 1


def test_a_call_without_a_result_is_shown_at_the_end() -> None:
    assert "⚡ query" in text_of(shown_by("transcript", [CALL, RunFinished("cancelled", TokenCount(), 0.1)]))


def test_a_table_cell_loads_no_picture_after_decoding() -> None:
    ((shown),) = shown_by("transcript", [ToolResult("A", "t", "| a |\n| --- |\n| ![x](y) <b> |", "c", summary="s")])
    assert "| &#33;[x](y) &#60;b> |" in html.unescape(shown.text)


def test_titles_of_blocks_are_plain_text() -> None:
    (shown,) = shown_by("transcript", [ToolResult("A", "t", "x", "c", summary="a & <b>")])
    assert f"<summary>📦 a & <{BREAK}b></summary>" in shown.text


@pytest.mark.parametrize("presentation", PRESENTATIONS)
def test_an_error_is_left_to_the_page_and_the_text_before_it_stays(presentation: Presentation) -> None:
    events: list[Event] = [
        Token("A", "half <", "final"),
        Error("c", "it broke"),
        RunFinished("error", TokenCount(), 0.1),
    ]
    text = text_of(shown_by(presentation, events))
    assert text.endswith("half <")
    assert "it broke" not in text


def test_work_after_the_first_words_is_one_block_before_the_answer_continues() -> None:
    work: list[Event] = [Thinking("A", "I look."), Action("A", "query", '{"sql": "SELECT 1"}', "c")]
    found = ToolResult("Database", "query", "| n |\n| --- |\n| 1 |", "c", summary="1 row")
    shown = shown_by("reasoning", [*work, *streamed("A", "First"), *work, found, *streamed("A", "Then"), *work, END])
    channels = [each.channel for each in shown]
    assert channels[:2] == ["reasoning"] * 2
    assert set(channels[2:]) == {"content"}
    first, second = (each for each in shown if each.is_block)
    assert text_of(shown[2:]) == f"First{first.text}\n\nThen{second.text}"
    assert html.unescape(first.text) == (
        "\n\n<details>\n<summary>🤔 What the team did next</summary>\n\n🤔 **A**\n\nI look."
        "\n\n⚡ **query**\n\n```sql\nSELECT 1\n```\n\n📦 1 row\n\n| n |\n| --- |\n| 1 |\n\n</details>"
    )
    assert shown[-1] is second


@pytest.mark.parametrize("char", ["x", "😀", "\x00", "<", "`"])
def test_late_work_is_bounded(char: str) -> None:
    late: list[Event] = [Message("B", char * 30_000), Message("B", char * 300_000)]
    *_, shown = shown_by("reasoning", [*streamed("A", "First"), *late, END])
    assert shown.is_block
    assert len(json.dumps(shown.text)) < 60_000
    assert "left out" in shown.text


def test_reasoning_contains_no_block() -> None:
    """With and without a page: a page shows reasoning in a block, which an inner block would end."""
    events: list[Event] = [Action("A", "t", '{"sql": "a <b"}', "c"), ToolResult("A", "t", "x\r</details>", "c")]
    for page in (None, Page()):
        shown = shown_by("reasoning", events, page)
        assert {each.channel for each in shown} == {"reasoning"}
        assert "<details" not in text_of(shown, "reasoning")
        assert "</details" not in text_of(shown, "reasoning")
        assert text_of(shown, "reasoning").startswith("⚡ **t**\n\n```sql\n")
    assert "\r" not in text_of(shown_by("reasoning", events), "reasoning")
    assert f"a <{BREAK}b" in text_of(shown_by("reasoning", events), "reasoning")


def test_only_a_transcript_says_that_an_agent_waits_for_an_answer() -> None:
    events: list[Event] = [Answer("A", "Which year?"), InputRequested("A", "Which year?"), END]
    for page in (None, Page()):
        assert text_of(shown_by("transcript", events, page)).endswith("Which year?\n\n🙋 *A waits for your answer*")
        for presentation in ("reasoning", "answer"):
            shown = shown_by(presentation, events, page)
            assert [each.text for each in shown] == ["Which year?"]


def test_remote_pictures_may_be_allowed() -> None:
    (shown,) = shown_by("answer", [Answer("A", "![x](y)")], Page(remote_images=True))
    assert shown.text == "![x](y)"


def test_a_routed_run_is_escaped_too() -> None:
    presenter = routed_presenter({"a": "answer", "b": "transcript"}, Page())
    events: list[Event] = [Routing("S", "asks", "a", "A", 0.9, "rules"), Answer("A", "<b>")]
    assert [shown.text for event in events for shown in presenter.show(event)] == [f"<{BREAK}b>"]


def test_after_dropped_events_code_is_escaped() -> None:
    (_, shown) = shown_by("transcript", [Dropped(1), Message("A", "```\n<b>\n```")])
    assert f"<{BREAK}b>" in shown.text


def test_agents_that_speak_at_once_are_escaped_separately() -> None:
    events: list[Event] = [Token("A", "a <", "message"), Token("B", "b>", "message")]
    events += [Message("A", "a <", streamed=True), Message("B", "b>", streamed=True)]
    assert text_of(shown_by("transcript", events)) == "💬 **A**\n\na <\n\n💬 **B**\n\nb>"
