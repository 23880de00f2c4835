"""`answer`: only the final answer, token by token where it is streamed."""

from collections.abc import Iterator

from aiostream_server.events import Event, Final, Token
from aiostream_server.events.model import Message
from aiostream_server.present.lanes import Lanes
from aiostream_server.present.shown import Shown


class Answer:
    """One viewer's view of a run's answer."""

    def __init__(self) -> None:
        self._lanes = Lanes()
        self._gap = ""
        self._empty = True

    def show(self, event: Event) -> Iterator[Shown]:
        for ordered in self._lanes.order(event):
            yield from self._show(ordered)

    def _show(self, event: Event) -> Iterator[Shown]:
        match event:
            case Token(kind="final"):
                yield Shown(self._take_gap() + event.content)
            case Message(streamed=True):
                self._gap = "" if self._empty else "\n\n"  # the next message stands apart
            case Final(streamed=False) if event.content:
                yield Shown(self._take_gap() + event.content)
            case _:
                pass

    def _take_gap(self) -> str:
        gap, self._gap, self._empty = self._gap, "", False
        return gap
