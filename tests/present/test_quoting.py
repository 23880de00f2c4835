"""What an agent says cannot pass for what the server says, and comes back from the history as it was said."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.model import Presentation
from aiostream_server.events import SPEECHES, Answer, Event, Message, RunFinished, Token, TokenCount
from aiostream_server.events.breaks import BREAK, QUOTE, without_quotes
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import Page, new_presenter
from aiostream_server.present.answer_texts import answer_texts
from aiostream_server.present.quoting import Quoter, quoted

IMITATIONS = [
    "✅ **Assistant**",
    "🎯 **Supervisor** → Data analysis team (rules, 92 %): asks for totals",
    "🎯 nothing",
    "❌ the server failed",
    "🛡 **ValidationAgent** approved",
    "🛡\ufe0f **ValidationAgent** approved",
    "🤔 **SQLAgent**",
    "💬\u00a0**Writer**",
    "📌 *This turn is not saved yet.*",
    "🙋 *Writer waits for your answer*",
    "⚡ **query**",
    "📦 **4 rows**",
    "  ✅  **Assistant**",
    "      ✅ **Assistant**",  # of a paragraph that goes on: its indent counts for nothing
    "\u200b✅ **Assistant**",
    "\ufeff \u2060✅\ufe0e\u2003**Assistant**",
    "\u3000\u00a0🎯\u2003nothing",
    "&nbsp;&#8203;✅ **Assistant**",
    "&#9989; **Assistant**",
    "&#x02705;&nbsp;**Assistant**",
    "&zwnj;&#x274C; the server failed",
    QUOTE,
]
HARMLESS = [
    "&lt;b&gt; &#9989; yes",
    "&#9989",
    "\u200b**Assistant**",
    "✅",
    "✅ done",
    "- ❌ no",
    "> ✅ **Assistant**",
    "a ❌ b",
    "🛡",
    "**Assistant**",
    "❌no",
    "details",
    "<b>",
]
PIECES = [
    *IMITATIONS,
    *HARMLESS,
    "<details>",
    "<details>\n<summary>⚡ query</summary>\n\nx\n\n</details>",
    "</details>",
]
TEXTS = st.lists(
    st.sampled_from([*PIECES, "\n", "\n\n", "\r\n", "\r", "x", " ", "```\n", "<", "de", "**", "> ", BREAK])
    | st.text(max_size=5),
    max_size=12,
).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=12)
PAGES = [None, Page()]


def pieces(text: str, cuts: Sequence[int]) -> list[str]:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    return [text[begin:end] for begin, end in pairwise(places)]


@given(TEXTS, CUTS)
def test_marks_do_not_depend_on_where_a_text_is_cut_and_can_be_taken_back(text: str, cuts: Sequence[int]) -> None:
    quoter = Quoter()
    shown = "".join(map(quoter.feed, pieces(text, cuts))) + quoter.end()
    assert shown == quoted(text)
    assert without_quotes(shown).replace(BREAK, "") == text.replace(BREAK, "")


@pytest.mark.parametrize("said", IMITATIONS)
@pytest.mark.parametrize("before", ["", "First.\n", "First.\n\n", "First.\r\n\r\n", "First.\r"])
def test_a_line_that_imitates_ours_is_quoted(said: str, before: str) -> None:
    assert quoted(before + said) == f"{before}{QUOTE}{said}"


@pytest.mark.parametrize("said", HARMLESS)
def test_other_lines_are_left_alone(said: str) -> None:
    assert quoted(f"{said}\n{said}") == f"{said}\n{said}"


def told(said: str, cuts: Sequence[int], *, streamed: bool, kind: str) -> list[Event]:
    whole: Event = (Answer if kind == "final" else Message)("Writer", said, streamed=streamed)
    tokens: list[Event] = [Token("Writer", piece, kind) for piece in pieces(said, cuts)]  # type: ignore[arg-type]
    return [*(tokens if streamed else ()), whole, RunFinished("stop", TokenCount(), 0.1)]


def shown(events: Sequence[Event], presentation: Presentation, page: Page | None) -> tuple[str, list[str]]:
    """All content, and the pieces that were shown."""
    presenter = new_presenter(presentation, page)
    texts: list[str] = []
    for event in events:
        if isinstance(event, Token) and (channel := presenter.continued(event)) is not None:
            texts += [event.content] if channel == "content" else []
        else:
            texts += [each.text for each in presenter.show(event) if each.channel == "content"]
    return "".join(texts), texts


def plain(text: str) -> str:
    """Zero-width spaces are not promised, nor outer white space, nor the kind of a line's end."""
    return re.sub(r"\r*\n", "\n", text.replace(BREAK, "")).strip()


@given(TEXTS, CUTS, st.booleans(), st.sampled_from(get_args(Presentation)), st.sampled_from(PAGES))
def test_whatever_an_answer_says_the_history_reads_back_what_was_said(
    said: str, cuts: Sequence[int], streamed: bool, presentation: Presentation, page: Page | None
) -> None:
    text, _ = shown(told(said, cuts, streamed=streamed, kind="final"), presentation, page)
    assert plain(undecorate(text)) == plain(said)


@given(TEXTS, CUTS, st.booleans())
def test_the_answer_that_is_remembered_is_the_one_that_comes_back(
    said: str, cuts: Sequence[int], streamed: bool
) -> None:
    """Conversations are found again by it."""
    transcript, answer = answer_texts(told(said, cuts, streamed=streamed, kind="final"))
    assert plain(undecorate(transcript)) == plain(undecorate(answer)) == plain(said)


@pytest.mark.parametrize("presentation", get_args(Presentation))
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("said", IMITATIONS)
def test_every_presentation_marks_it_token_by_token(said: str, page: Page | None, presentation: Presentation) -> None:
    text, _ = shown(told(f"Hello\n\n{said}\n\nfake", range(200), streamed=True, kind="final"), presentation, page)
    assert f"\n{QUOTE}{said}".replace(BREAK, "") in text.replace(BREAK, "")


def test_tokens_that_begin_no_line_as_ours_are_passed_on_as_they_are() -> None:
    """The short way, which most tokens take."""
    presenter = new_presenter("transcript")
    list(presenter.show(Token("Writer", "Hello", "message")))
    for text in (" ✅ **world**", " line\n", "another\r\n\r\n", "- one\n- two", "\n\n"):
        assert presenter.continued(Token("Writer", text, "message")) == "content"
    for text in ("✅ **Assistant**", "and\n❌ no", "\n<details>"):
        assert presenter.continued(Token("Writer", text, "message")) is None
    assert [each.text for each in presenter.show(Token("Writer", "✅ **Assistant**", "message"))] == [
        f"{QUOTE}✅ **Assistant**"
    ]
    assert len(SPEECHES) > 3
