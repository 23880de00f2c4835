"""The text of a transcript."""

from aiostream_server.events import (
    Action,
    Answer,
    Event,
    Message,
    Routing,
    RunFinished,
    RunStarted,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Usage,
    Validation,
)
from aiostream_server.present import Page, new_presenter

DATA_RUN: list[Event] = [
    RunStarted("auto"),
    Routing("Supervisor", "Analysing…"),
    Routing("Supervisor", "asks for totals by region", "data", "Data analysis", 0.92, "rules"),
    Token("SQLAgent", "I look up ", "thinking"),
    Token("SQLAgent", "the totals.", "thinking"),
    Thinking("SQLAgent", "I look up the totals.", streamed=True),
    Action("SQLAgent", "query", '{"sql": "SELECT 1"}', "c1"),
    Usage("SQLAgent", 1, 1),
    Validation("ValidationAgent", "approved: one read-only SELECT", approved=True),
    ToolResult("Database", "query", "| n |\n| --- |\n| 1 |", "c1", summary="1 row"),
    Token("AnalysisAgent", "North, ", "final"),
    Token("AnalysisAgent", "by far.", "final"),
    Message("AnalysisAgent", "North, by far.", streamed=True),
    Answer("AnalysisAgent", "North, by far.", streamed=True),
    RunFinished("stop", TokenCount(), 1.0),
]


def test_the_transcript_of_the_data_team() -> None:
    """One paragraph for each speaker, nothing twice, blocks in one piece, tokens one by one."""
    presenter = new_presenter("transcript")
    assert [shown.text for event in DATA_RUN for shown in presenter.show(event)] == [
        "🎯 **Supervisor** Analysing…",
        "\n\n🎯 **Supervisor** → Data analysis (rules, 92 %): asks for totals by region",
        "\n\n🤔 **SQLAgent**\n\nI look up ",
        "the totals.",
        "\n\n<details>\n<summary>⚡ query</summary>\n\n```sql\nSELECT 1\n```\n\n</details>",
        "\n\n🛡 **ValidationAgent** approved: one read-only SELECT",
        "\n\n<details>\n<summary>📦 1 row</summary>\n\n| n |\n| --- |\n| 1 |\n\n</details>",
        "\n\n✅ **AnalysisAgent**\n\nNorth, ",
        "by far.",
    ]


def test_the_same_run_as_reasoning_and_answer() -> None:
    presenter = new_presenter("reasoning")
    shown = [each for event in DATA_RUN for each in presenter.show(event)]
    assert [each.text for each in shown if each.channel == "content"] == ["North, ", "by far."]
    assert len([each for each in shown if each.channel == "reasoning"]) == 7
    answer = new_presenter("answer")
    assert [each.text for event in DATA_RUN for each in answer.show(event)] == ["North, ", "by far."]


def test_a_verdict_of_several_lines_has_a_heading() -> None:
    (shown,) = new_presenter("transcript").show(Validation("V", "blocked:\n- one\n- two", approved=False))
    assert shown.text == "🛡 **V**\n\nblocked:\n- one\n- two"


def test_a_routing_without_confidence_or_reason() -> None:
    (shown,) = new_presenter("transcript").show(Routing("Supervisor", "", team="data"))
    assert shown.text == "🎯 **Supervisor** → data (chosen)"


def test_blank_messages_are_not_shown() -> None:
    presenter = new_presenter("transcript")
    assert not [*presenter.show(Message("A", "")), *presenter.show(Answer("A", " \n"))]


def test_a_call_whose_result_is_overdue_is_shown_at_once_and_the_result_in_a_fold_of_its_own() -> None:
    presenter = new_presenter("transcript", Page())
    call, result = Action("A", "lookup", '{"q": "x"}', "c"), ToolResult("A", "lookup", "found", "c")
    assert list(presenter.show(call)) == []
    (shown,) = presenter.overdue()
    assert shown.is_block
    assert "x" in shown.text
    assert [shown.text.count("<details>") for shown in presenter.show(result)] == [1]
    assert list(presenter.overdue()) == []
