"""`reasoning`: the team's work as reasoning, the answering agents' text as the answer.

Open WebUI 0.12 shows all reasoning in one block above the first words of the answer, whenever it comes. So for a page
work that comes later is told in the answer's text: gathered, as one block that folds out, before the answer goes on.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aiostream_server.events import Error, Event, InputRequested, RunFinished, Token
from aiostream_server.events.model import Answer
from aiostream_server.present.answer import AnswerOnly
from aiostream_server.present.folded import folded
from aiostream_server.present.page import Page
from aiostream_server.present.shown import Channel, Shown
from aiostream_server.present.signs import error_line
from aiostream_server.present.transcript import Transcript

_MOST_CHARS: Final = 20_000
_MOST_BYTES: Final = 50_000  # as JSON: it must go out in one delta
_TITLE: Final = "🤔 What the team did next"
_LEFT_OUT: Final = "\n\n*… more was left out*"


class Reasoning:
    """A transcript of the work, and the answer apart from it. Wants one message at a time: see `lanes.InTurn`."""

    def __init__(self, page: Page | None = None) -> None:
        self._page = page
        self._work = Transcript(page, flat=True)
        self._answer = AnswerOnly()
        self._answers = False  # has begun to
        self._late: list[str] = []
        self._late_chars = 0

    def show(self, event: Event) -> Iterator[Shown]:
        for shown in self._answer.show(event):
            yield from self._tell_late_work()
            self._answers = True
            yield shown
        match event:
            case Error() if self._page is None:
                yield self._answer.paragraph(error_line(event))
            case Error() | RunFinished():
                yield from self._tell_late_work()
            case Token(kind="final") | Answer() | InputRequested():
                pass  # the answer, which has been shown
            case _:
                for shown in self._work.show(event):
                    yield from self._tell_work(shown)

    def continued(self, token: Token) -> Channel | None:
        if token.kind == "final":
            return None if self._late else self._answer.continued(token)
        is_told_at_once = not self._answer.is_open and (self._page is None or not self._answers)
        return "reasoning" if is_told_at_once and self._work.continued(token) else None

    def _tell_work(self, shown: Shown) -> Iterator[Shown]:
        if self._page is None or not self._answers:
            yield replace(shown, channel="reasoning")
        elif self._late_chars <= _MOST_CHARS:
            self._late.append(shown.text)
            self._late_chars += len(shown.text)

    def _tell_late_work(self) -> Iterator[Shown]:
        if self._late:
            work = "".join(self._late).strip("\n")
            self._late, self._late_chars = [], 0
            yield replace(self._answer.paragraph(_in_one_delta(work, self._page)), is_block=True)


def _in_one_delta(work: str, page: Page | None) -> str:
    told, left_out = work[:_MOST_CHARS], "" if len(work) <= _MOST_CHARS else _LEFT_OUT
    while len(json.dumps(block := folded(_TITLE, told + left_out, page))) > _MOST_BYTES:
        told, left_out = told[: len(told) * 3 // 4], _LEFT_OUT
    return block
