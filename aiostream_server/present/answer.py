"""`answer`: only what the answering agents say, token by token where it is streamed."""

from collections.abc import Iterator

from aiostream_server.events import Answer, Event, RunStarted, Token, Usage
from aiostream_server.present.shown import Channel, Shown


class AnswerOnly:
    """One viewer's view of a run's answer. Wants one message at a time: see `lanes.InTurn`."""

    def __init__(self) -> None:
        self._empty = True
        self.is_open = False

    def show(self, event: Event) -> Iterator[Shown]:
        match event:
            case Token(kind="final"):
                yield Shown(event.content) if self.is_open else self.paragraph(event.content)
                self.is_open = True
            case Answer(streamed=False) if event.content:
                yield self.paragraph(event.content)
            case RunStarted() | Usage():
                pass
            case _:
                self.is_open = False

    def continued(self, token: Token) -> Channel | None:
        return "content" if self.is_open and token.kind == "final" else None

    def paragraph(self, text: str) -> Shown:
        """Text apart from what stands before it."""
        gap = "" if self._empty else "\n\n"
        self._empty = self.is_open = False
        return Shown(gap + text)
