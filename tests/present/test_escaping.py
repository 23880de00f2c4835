"""Escaped text: from any cut the same text results, nothing is lost, and the page interprets nothing."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from aiostream_server.events.breaks import BREAK, without_breaks
from aiostream_server.present import Page
from aiostream_server.present.escaping import CodeTrust, Escaper, escaped_line

TAGS = [
    "<think>",
    "</think>",
    "<reasoning a=1>",
    "<|begin_of_thought|>",
    "◁think▷",
    "<details>",
    "</details>",
    "<img src=x>",
]
FENCES = ["```", "\n```\n", "\n```html\n", "\n~~~\n", "\n  ```\n", "\n- ```\n", "\n   ~~~\n", "````", "`", "~"]
SIGNS = [
    "<",
    "!",
    "[",
    "![x](y)",
    "\n[a]: b\n",
    "\n[",
    "]: x",
    '"',
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    " ",
    "\n- a\n",
    "| a | <br> |",
]
OTHERS = ["a", "b c", "\n---\n", "\n===\n", "\n> q\n", "\t", "1. ", "# h\n", BREAK, "\u2028", "$"]
MATHS = ["$$", "\\[", "\\begin", "\n:::note\n"]
TEXT = st.lists(st.sampled_from([*TAGS, *FENCES, *SIGNS, *OTHERS]), max_size=16).map("".join)
ANY_TEXT = st.one_of(
    st.text(), st.lists(st.sampled_from([*TAGS, *FENCES, *SIGNS, *OTHERS, *MATHS]), max_size=16).map("".join)
)
OTHERS_TEXT = ANY_TEXT.filter(lambda text: not re.search(f"[\r\n]{BREAK}|{BREAK}[\r\n]", text))
"""Without breaks of its own at the places beside a fence where ours would be."""
REASONING = re.compile(
    r"</?(?:think|thinking|reason|reasoning|thought|Thought|code_interpreter)(?:\s.*?)?>"
    r"|<\|(?:begin|end)_of_(?:thought|solution)\|>|◁/?think▷"
)


def shown(pieces: Iterable[str], *, images: bool = False, mid_line: bool = False, swallowed: bool = False) -> str:
    escaper = Escaper(Page(remote_images=images), CodeTrust(is_lost=swallowed), mid_line=mid_line)
    return "".join([*map(escaper.feed, pieces), escaper.end()])


def read(text: str) -> list[Token]:
    """All tokens of a CommonMark parser, inline ones too."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or ()))]


@given(ANY_TEXT, st.lists(st.integers(0, 60)), st.booleans(), st.booleans())
def test_the_result_does_not_depend_on_the_cuts(text: str, cuts: list[int], mid_line: bool, images: bool) -> None:
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    whole = shown([text], mid_line=mid_line, images=images)
    assert shown(pieces, mid_line=mid_line, images=images) == whole
    assert shown(text, mid_line=mid_line, images=images) == whole


@given(OTHERS_TEXT, st.booleans())
@example("<\u200bb", False)
@example("◁\n\n```", False)
def test_without_breaks_restores_the_text(text: str, swallowed: bool) -> None:
    """Except for breaks of the text's own at the places of ours."""
    assert without_breaks(shown([text], swallowed=swallowed)) == without_breaks(text)


@given(st.text(st.characters(exclude_characters=BREAK)))
def test_without_breaks_restores_a_text_without_breaks_exactly(text: str) -> None:
    assert without_breaks(shown([text])) == text


@given(ANY_TEXT)
def test_no_reasoning_tag_is_left_in_text_or_code(text: str) -> None:
    assert not REASONING.search(shown([text]))
    assert not REASONING.search(shown([text], swallowed=True))


@given(TEXT)
@example("text\n```\na\n---\n<img src=x>\n```")
@example('[a]: b "\n```\n"\n<img src=x>')
@example(" ```\n```\n<img src=x>")
@example("- a\n  ```\nb\n```\n<img src=x>\n```")
@example("```\n<b>")
def test_no_html_and_no_picture_is_left(text: str) -> None:
    """For a CommonMark parser; and code does not swallow the text after it."""
    tokens = read(f"before\n\n{shown([text])}\n\nafter")
    inline_html = {token.content.lower() for token in tokens if token.type in ("html_inline", "html_block")}
    assert inline_html <= {"<br>"}
    assert "image" not in {token.type for token in tokens}


@given(TEXT)
def test_after_a_formula_code_is_escaped_too(text: str) -> None:
    after = shown([f"$$\n{text}"]).replace("\r", "\n")
    assert not re.search(r"^(?!\|).*<[A-Za-z/!?]", after, re.MULTILINE)
    assert "![" not in after


@pytest.mark.parametrize(
    "text", ["plain words", "a < b and c <= d, a<1", "what!", "*bold*", "| a | b<br>c<br/> |", "x[0]"]
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert shown([text]) == text


@pytest.mark.parametrize(
    "text", ["```html\n<b>![x](y)<details>\n```", "text:\n\n~~~\n<img>\n~~~~ \n<", "```\n<thinker> <Reason>\n```"]
)
def test_fenced_code_is_unchanged(text: str) -> None:
    assert shown([text]) == text


def test_where_breaks_are_set() -> None:
    assert shown(["<b>"]) == f"<{BREAK}b>"
    assert shown(["```\n<think>\n```"]) == f"```\n<{BREAK}think>\n```"
    assert shown(["![a](b)"]) == f"!{BREAK}[a](b)"
    assert shown(["![a](b)"], images=True) == "![a](b)"
    assert shown(["[a]: b"]) == f"{BREAK}[a]: b"
    assert shown(["a:\n```\nb\n```"]) == f"a:{BREAK}\n\n```\nb\n```"
    assert shown(["```\nb"]) == f"```\nb\n```\n{BREAK}"
    assert shown(["`<b>`"]) == f"`<{BREAK}b>`"
    assert shown(["``` a`b\n<b>"]) == f"``` a`b\n<{BREAK}b>"


def test_a_table_row_keeps_line_breaks_but_no_other_tag() -> None:
    assert shown(["| <br> <b>\n<br>"]) == f"| <br> <{BREAK}b>\n<{BREAK}br>"


def test_only_possible_beginnings_of_markup_are_held_back() -> None:
    escaper = Escaper(Page(), CodeTrust())
    assert [escaper.feed(piece) for piece in ["Hello", " world", "!", " a <", " b", "\n", "c"]] == [
        "Hello", " world", "", "! a ", "< b", "", "\nc"
    ]  # fmt: skip
    assert escaper.end() == ""


def test_escaped_line_is_one_line() -> None:
    assert escaped_line("a\n```\n<b>", Page()) == f"a ``` <{BREAK}b>"


@given(st.sampled_from(["`", "~", "[", "-", "<", "<br", "$", "\r"]), st.integers(1, 2_000))
def test_a_long_run_of_one_sign_does_not_depend_on_the_cuts(sign: str, count: int) -> None:
    text = f"{sign * count}\n{sign * count} a\n```\n<b>"
    assert shown(text) == shown([text])
