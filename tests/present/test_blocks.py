"""Text of a model or a tool stays inside its block when a Markdown reader parses it (markdown-it: CommonMark)."""

import html
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from aiostream_server.events import Action, ToolResult
from aiostream_server.present.blocks import answered_block, tool_block
from aiostream_server.present.escaping import Page

_BEFORE, _AFTER = "before", "after"
_TAGS = ["</details>", "<details>", "</summary>", "<b>", "<!--", "&lt;"]
_SIGNS = [
    "`",
    "```",
    "~~~",
    "\n",
    "\r",
    "\n\n",
    "|",
    "\\",
    "!",
    "[x](y)",
    "    ",
    "# h",
    "> q",
    "- ",
    '"',
    "a",
    "\u2028",
    "\x00",
]
_NASTY = st.lists(st.sampled_from([*_TAGS, *_SIGNS])).map("".join)
_TEXT = st.one_of(st.text(), _NASTY)


def read(block: str) -> list[Token]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(f"{_BEFORE}\n\n{block}\n\n{_AFTER}")
    assert [token.type for token in tokens[:4]] == ["paragraph_open", "inline", "paragraph_close", "html_block"]
    assert [token.type for token in tokens[-4:]] == ["html_block", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[-2].content == _AFTER
    assert tokens[-4].content == "</details>\n"
    assert block.lower().count("<details") == block.lower().count("</details") == 1
    return tokens[4:-4]


def as_read(text: str) -> str:
    """The text after the replacements that every Markdown reader makes, and without our breaks."""
    lines = f"{text}\n".replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace("\x00", "\ufffd").replace("\u200b", "")


@given(_TEXT, _TEXT)
@example("x", "```\n</details>\n")
@example("x", "|\r```\r")
def test_a_result_stays_in_its_block(tool: str, content: str) -> None:
    tokens = read(tool_block(ToolResult("A", tool, content, "c")))
    if [token.type for token in tokens] == ["fence"]:
        assert tokens[0].content.replace("\u200b", "") == as_read(content)


@given(_TEXT, _TEXT)
@example("x", "[" * 4000)
@example("x", "[" * 2000 + "]" * 2000)
@example("x", '{"sql": "```"}')
def test_arguments_stay_in_their_block(tool: str, arguments: str) -> None:
    tokens = read(tool_block(Action("A", tool, arguments, "c")))
    is_remark = [child.content for token in tokens for child in token.children or ()] == ["", "without arguments", ""]
    assert is_remark or [token.type for token in tokens] == ["fence"]


@given(st.lists(_TEXT, min_size=1), st.lists(_TEXT))
def test_a_table_stays_a_table_or_is_fenced(head: list[str], cells: list[str]) -> None:
    """No cell can load a picture or contain HTML."""
    content = f"| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |\n| {' | '.join(cells)} |"
    tokens = read(tool_block(ToolResult("A", "t", content, "c", summary="rows")))
    inside = [child.type for token in tokens for child in token.children or ()]
    assert not {"image", "html_inline"} & set(inside)
    assert "html_block" not in [token.type for token in tokens]


def test_a_backslash_does_not_restore_a_picture() -> None:
    tokens = read(tool_block(ToolResult("A", "t", "| a |\n| --- |\n| \\![x](http://evil/x.png) |", "c", summary="s")))
    assert "image" not in [child.type for token in tokens for child in token.children or ()]


@given(st.text())
def test_a_single_text_argument_is_shown_as_it_is(text: str) -> None:
    tokens = read(tool_block(Action("A", "t", json.dumps({"sql": text}), "c")))
    if text:
        assert tokens[0].content.replace("\u200b", "") == as_read(text)
        assert tokens[0].info == "sql"


def test_other_arguments_are_indented_json() -> None:
    (fence,) = read(tool_block(Action("A", "t", '{"a":1,"b":["ä"]}', "c")))
    assert (fence.info, fence.content) == ("json", '{\n  "a": 1,\n  "b": [\n    "ä"\n  ]\n}\n')
    assert read(tool_block(Action("A", "t", '{"n": 1}', "c")))[0].info == "json"


def test_empty_arguments_become_a_remark_but_zero_is_an_argument() -> None:
    """Open WebUI shows no title over an empty block."""
    for arguments in ("{}", "null", ""):
        assert "\n\n*without arguments*\n\n" in tool_block(Action("A", "t", arguments, "c"))
    assert read(tool_block(Action("A", "t", "0", "c")))[0].content == "0\n"


def test_the_titles_of_results() -> None:
    def title(**fields: object) -> str:
        block = tool_block(ToolResult(**({"agent": "A", "tool": "t", "content": "", "call_id": "c"} | fields)))  # type: ignore[arg-type]
        return html.unescape(block.split("<summary>")[1].split("</summary>")[0])

    assert title(summary="4 rows") == "📦 4 rows"
    assert title(is_error=True, content="no") == "📦 t failed"
    assert title(content="four") == "📦 t: four"
    assert title(content="four\nfive") == "📦 t"
    assert title(content="x" * 61) == "📦 t"
    assert title(tool="a\n\n<b>") == "📦 a <b>"
    assert len(title(tool="x" * 9999)) == 200


def test_a_truncated_result_says_so() -> None:
    assert "left out" in tool_block(ToolResult("A", "t", "x", "c", truncated=True))
    assert "left out" not in tool_block(ToolResult("A", "t", "x", "c", truncated=True, summary="4 rows (more)"))


@pytest.mark.parametrize(
    ("tool", "summary", "title"),
    [
        ("schema", "schema: 6 tables", "schema: 6 tables"),
        ("query", "4 rows", "query: 4 rows"),
        ("chart", "bar chart: 4 bars", "bar chart: 4 bars"),
        ("chart", "charted", "chart: charted"),
    ],
)
def test_the_title_of_a_call_with_its_result_names_the_tool_once(tool: str, summary: str, title: str) -> None:
    call = Action("A", tool, "{}", "c1")
    block = answered_block(call, ToolResult("A", tool, "x", "c1", summary=summary), Page())
    assert f"<summary>{ToolResult.sign} {title}</summary>" in block
