"""`reasoning`: the team's work as reasoning, the answering agents' text as the answer."""

from collections.abc import Iterator
from dataclasses import replace

from aiostream_server.events import Error, Event, Final, Token
from aiostream_server.present.answer import Answer
from aiostream_server.present.shown import Shown
from aiostream_server.present.signs import error_line
from aiostream_server.present.transcript import Transcript


class Reasoning:
    """A transcript of the work, and the answer apart from it. Wants one message at a time: see `lanes.InTurn`."""

    def __init__(self) -> None:
        self._work = Transcript()
        self._answer = Answer()

    def show(self, event: Event) -> Iterator[Shown]:
        yield from self._answer.show(event)
        match event:
            case Error():
                yield self._answer.paragraph(error_line(event))
            case Token(kind="final") | Final():
                pass  # the answer, which has been shown
            case _:
                for shown in self._work.show(event):
                    yield replace(shown, channel="reasoning")
