"""Code blocks of agents that Open WebUI would run or draw, and those that it shows."""

import re
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import Event, Message, RunFinished, Token, TokenCount
from aiostream_server.events.breaks import BREAK, without_breaks
from aiostream_server.present import Page, new_presenter
from aiostream_server.present.artifacts import ArtifactGuard

RUN = ["html", "HTML", "svg", "xml", "xhtml", "htm", "mermaid", "Mermaid", "vega", "vega-lite", r"vega\-lite"]
SHOWN = ["sql", "python", "js", "htmlx", "", "text html", "css", "mermaids", "json"]
TEXTS = st.lists(
    st.sampled_from(["```", "~~~", "`", "~", " ", "\n", "\t", "x", *RUN, *SHOWN, " " * 25]) | st.text(max_size=3),
    max_size=10,
).map("".join)
PAGE_RUNS = re.compile(r"(?:```|~~~)[ \t]*(?:html|svg|xml|mermaid|vega)\b", re.IGNORECASE)


def guarded(text: str, cuts: Sequence[int] = ()) -> str:
    guard = ArtifactGuard()
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return "".join(guard.feed(text[begin:end]) for begin, end in pairwise(places)) + guard.end()


@pytest.mark.parametrize("language", RUN)
@pytest.mark.parametrize("fence", ["```", "~~~", "`````", "> ```", "- ```", "      ```", "a ```"])
def test_a_break_stands_before_a_language_that_the_page_runs(language: str, fence: str) -> None:
    for info in (language, f" {language}", f"{language} preview", " " * 30 + language):
        text = f"Here:\n{fence}{info}\n<b>\n```\n"
        assert guarded(text) == f"Here:\n{fence}{BREAK}{info}\n<b>\n```\n"
        assert guarded(text, range(80)) == guarded(text)
        assert without_breaks(guarded(text)) == text


@pytest.mark.parametrize("language", SHOWN)
def test_other_code_is_left_as_it_is(language: str) -> None:
    text = f"```{language}\n<b> `html` ~~html~~ ``html``\n```\nhtml"
    assert guarded(text, range(80)) == text


@given(TEXTS, st.lists(st.integers(0, 100), max_size=8))
def test_no_cut_lets_one_through_and_the_text_comes_back(text: str, cuts: Sequence[int]) -> None:
    shown = guarded(text, cuts)
    assert not PAGE_RUNS.search(shown)
    assert shown == guarded(text)
    assert without_breaks(shown).replace(BREAK, "") == text.replace(BREAK, "")


@pytest.mark.parametrize("allowed", [False, True])
def test_the_setting_decides_for_a_page_and_for_nothing_else(allowed: bool) -> None:
    said = "```html\n<b>\n```"
    for page, expected in ((Page(artifacts=allowed), said if allowed else f"```{BREAK}html\n<b>\n```"), (None, said)):
        presenter = new_presenter("answer", page)
        events: list[Event] = [*(Token("A", char, "final") for char in said), RunFinished("stop", TokenCount(), 0.1)]
        assert "".join(shown.text for event in events for shown in presenter.show(event)) == expected
    whole = new_presenter("transcript", Page(artifacts=allowed)).show(Message("A", said))
    assert ("```html" in "".join(shown.text for shown in whole)) == allowed


@pytest.mark.parametrize("piece", ["`", "~", "``` ", "`" * 301 + "html", "``` " * 6])
def test_long_runs_take_linear_time(piece: str) -> None:
    """A second for the whole of it; quadratic time would take minutes."""
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    assert without_breaks(guarded(text, range(0, len(text), 7))) == text
    assert time.process_time() - began < 10
