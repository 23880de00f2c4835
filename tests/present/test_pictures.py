"""Pictures on a page: the server's own are shown, from any cut; foreign and forged ones stay text."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from aiostream_server.events import Answer, Event, Token
from aiostream_server.events.breaks import without_breaks
from aiostream_server.present import Page, new_presenter
from aiostream_server.present.escaping import CodeTrust, Escaper
from aiostream_server.store.links import SignedLinks

BASE = "https://agents.example.com:8443/llm"
LINKS = SignedLinks(b"s" * 32, lambda: 1_000.0)
URL = LINKS.link(BASE, f"file-{'A' * 24}", 2_000)
OWN = f"![Revenue by month]({URL})"
PAGE = Page(is_own=lambda url: LINKS.is_own(url, BASE))
PIECES = [OWN, OWN[:-1], OWN[1:], f"![a]({URL}x)", f"![[a]]({URL})", f"![a](<{URL}>)", f"![a]({URL} 't')"]
SIGNS = [
    "!",
    "[",
    "]",
    "(",
    ")",
    "\n",
    "\n\n",
    "```\n",
    " ",
    "text",
    "<b>",
    "![",
    "![a]",
    "![a](",
    "\\",
    "`",
    "\r\n",
    "$$",
]
PARTS = st.sampled_from([*PIECES, "![x](http://e.com)", *SIGNS])
TEXT = st.lists(PARTS, max_size=9).map("".join)


def shown(pieces: Sequence[str], page: Page = PAGE) -> str:
    escaper = Escaper(page, CodeTrust())
    return "".join([*map(escaper.feed, pieces), escaper.end()])


def pictures(text: str) -> list[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).parse(text)
    inner = [each for token in tokens for each in (token.children or ())]
    return [str(token.attrs["src"]) for token in inner if token.type == "image"]


@given(TEXT, st.lists(st.integers(0, 900), max_size=9))
@example(OWN, [1, 2, 5, 30])
def test_the_result_does_not_depend_on_the_cuts(text: str, cuts: list[int]) -> None:
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert shown(pieces) == shown([text]) == shown(text)


@given(TEXT)
@example(f"{OWN}\n\n{OWN}")
@example(f"![a]({URL})![x](http://e.com)")
@example(f"![x](http://e.com?{OWN})")
@example(f"![Re](http://e.com){OWN}")
@example(f"![a\n]: {URL}\n![a]")
def test_only_the_servers_own_pictures_are_shown(text: str) -> None:
    assert set(pictures(shown([text]))) <= {URL}
    assert without_breaks(shown([text])) == without_breaks(text)


@pytest.mark.parametrize(
    "text", [OWN, f"words {OWN} words", f"- {OWN}", f"\n{OWN}\n", f"Look!{OWN}", f"[{OWN}](http://e)"]
)
def test_the_servers_own_picture_is_shown(text: str) -> None:
    assert OWN in shown(text)
    assert pictures(shown([text])) == [URL]


@pytest.mark.parametrize(
    "text",
    [
        OWN.replace("agents", "evil"),
        OWN.replace("AAA", "AAB", 1),
        OWN.replace("expires=2000", "expires=9999"),
        OWN.replace(BASE, f"https://evil.example/?{BASE}"),
        OWN.replace(URL, f"{URL}#x"),
        OWN.replace("Revenue", "R" * 300),
    ],
)
def test_a_forged_link_is_not_shown(text: str) -> None:
    assert pictures(shown([text])) == []
    assert pictures(shown([OWN], Page())) == []


def test_the_text_that_is_held_back_is_bounded() -> None:
    escaper = Escaper(PAGE, CodeTrust())
    assert escaper.feed("![" + "a" * 5_000).endswith("a")
    escaper = Escaper(PAGE, CodeTrust())
    assert escaper.feed("![a](https://" + "a" * 5_000).endswith("a")


@pytest.mark.parametrize("presentation", ["transcript", "reasoning", "answer"])
def test_every_presentation_shows_it(presentation: str) -> None:
    presenter = new_presenter(presentation, PAGE)  # type: ignore[arg-type] # one of the three
    told: list[Event] = [
        Token("Analyst", f"{OWN}\n\n", "final"),
        Token("Analyst", "Words.", "final"),
        Answer("Analyst", "x", True),
    ]
    text = "".join(shown.text for event in told for shown in presenter.show(event) if shown.channel == "content")
    assert pictures(text) == [URL]
