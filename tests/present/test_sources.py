"""The sources of an answer."""

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from aiostream_server.events import Action, Event, ToolResult
from aiostream_server.present.sources import Source, Sources
from tests.present.test_escaping import ANY_TEXT

ASKED = Action("SQLAgent", "query", '{"sql": "SELECT 1"}', "c1")
TABLE = "| n |\n| --- |\n| 1 |"


def told(*events: Event) -> list[Source]:
    sources = Sources()
    return [source for event in events for source in sources.show(event)]


def test_each_query_is_a_source_with_its_sql_and_result() -> None:
    found = ToolResult("Database", "query", TABLE, "c1", summary="1 row")
    assert told(ASKED, found, ASKED, ToolResult("Database", "query", "", "c1")) == [
        Source("SQL query 1 (1 row)", f"```sql\nSELECT 1\n```\n\n{TABLE}"),
        Source("SQL query 2", "```sql\nSELECT 1\n```"),
    ]


def test_failed_queries_and_other_tools_are_no_sources() -> None:
    assert told(ASKED, ToolResult("Database", "query", "no such table", "c1", is_error=True)) == []
    assert told(Action("A", "t", "{}", "c"), ToolResult("A", "t", TABLE, "c")) == []


def test_long_results_are_cut_and_stay_tables() -> None:
    (source,) = told(ASKED, ToolResult("D", "query", f"{TABLE}\n" + "| 22 |\n" * 5_000, "c1", summary="x" * 500))
    assert len(source.text) < 5_000
    assert len(source.name) < 100
    assert "| 22 |" in source.text
    assert source.text.count("```") == 2


@given(ANY_TEXT, st.one_of(ANY_TEXT, ANY_TEXT.map(lambda text: f"| a |\n| --- |\n| {text} |")))
def test_a_source_contains_no_html_and_no_picture(sql: str, found: str) -> None:
    """Open WebUI 0.12 renders it as Markdown."""
    (source,) = told(Action("A", "query", sql, "c"), ToolResult("D", "query", found, "c"))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(source.text)
    kinds = {inner.type for token in tokens for inner in (token, *(token.children or ()))}
    assert not kinds & {"html_block", "html_inline", "image"}
