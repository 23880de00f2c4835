"""`answer` and `reasoning`: the text of the answering agents, alone or with the team's work as reasoning."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aiostream_server.events import Error, InputRequested, Notice, Restarted, RunFinished, Token
from aiostream_server.present.blocks import folded
from aiostream_server.present.escaping import Page
from aiostream_server.present.parts import Closed, Opened, Part
from aiostream_server.present.shown import Channel, Paragraphs, Shown
from aiostream_server.present.transcript import Transcript, error_line, notice_line, restart_line

_MAX_CHARS: Final = 20_000
_MAX_BYTES: Final = 50_000  # of JSON, because the block is sent in one delta
_TITLE: Final = "🤔 What the team did next"
_LEFT_OUT: Final = "\n\n*… more was left out*"


class AnswerOnly:
    """A view of the answer: of every message of the kind `final`, and of what users must know of their conversation."""

    def __init__(self) -> None:
        self.paragraphs: Final = Paragraphs()
        self._begins = False
        self._has_begun = False

    def show(self, part: Part) -> Iterator[Shown]:
        if isinstance(part, Opened):
            self._begins = True
        elif isinstance(part, Token) and part.kind == "final":
            yield self.paragraphs.begin(part.content) if self._begins else Shown(part.content)
            self._begins, self._has_begun = False, True
        elif isinstance(part, Restarted) and self._has_begun:
            yield self.paragraphs.begin(restart_line(part))
        elif isinstance(part, Notice) and part.is_about_memory:
            yield self.paragraphs.begin(notice_line(part))

    def channel(self, token: Token) -> Channel | None:
        return "content" if token.kind == "final" else None


class Reasoning:
    """A view of the answer, with a transcript of the rest as reasoning.

    Open WebUI 0.12 shows all reasoning in one block above the first words of the answer, even reasoning that comes
    later. So for a page later work goes into the answer's text: gathered in one block, before the answer continues.
    """

    def __init__(self, page: Page | None = None) -> None:
        self._page = page
        self._work = Transcript(page, flat=True)
        self._answer = AnswerOnly()
        self._has_answered = False
        self._late: list[str] = []
        self._late_chars = 0

    def show(self, part: Part) -> Iterator[Shown]:
        match part:
            case Opened(kind="final") | Token(kind="final") | Closed(kind="final"):
                yield from self._show_answer(part)
            case Error() if self._page is None:
                yield self._answer.paragraphs.begin(error_line(part))
            case Error() | RunFinished():
                yield from self._show_late_work()
            case InputRequested():
                pass  # its question is the answer, which was shown
            case Restarted() if self._has_answered:
                yield from self._show_late_work()
                yield from self._answer.show(part)
            case Notice(is_about_memory=True):
                yield from self._show_late_work()
                yield from self._answer.show(part)
            case Notice() if self._has_answered:
                pass  # clients show reasoning above the answer; the finish reason tells that the answer was cut off
            case _:
                for shown in self._work.show(part):
                    yield from self._show_work(shown)

    def channel(self, token: Token) -> Channel:
        return "content" if token.kind == "final" else "reasoning"

    def _show_answer(self, part: Part) -> Iterator[Shown]:
        for shown in self._answer.show(part):
            yield from self._show_late_work()
            self._has_answered = True
            yield shown

    def _show_work(self, shown: Shown) -> Iterator[Shown]:
        if self._page is None or not self._has_answered:
            yield replace(shown, channel="reasoning")
        elif self._late_chars <= _MAX_CHARS:
            self._late.append(shown.text)
            self._late_chars += len(shown.text)

    def _show_late_work(self) -> Iterator[Shown]:
        if self._late:
            work = "".join(self._late).strip("\n")
            self._late, self._late_chars = [], 0
            yield self._answer.paragraphs.begin(_in_one_delta(work, self._page), is_block=True)


def _in_one_delta(work: str, page: Page | None) -> str:
    kept, left_out = work[:_MAX_CHARS], "" if len(work) <= _MAX_CHARS else _LEFT_OUT
    while len(json.dumps(block := folded(_TITLE, kept + left_out, page))) > _MAX_BYTES:
        kept, left_out = kept[: len(kept) * 3 // 4], _LEFT_OUT
    return block
