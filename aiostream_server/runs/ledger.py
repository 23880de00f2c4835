"""What goes into a run's log: in pieces that fit one SSE line, and counted."""

import time
from collections.abc import Iterator
from typing import Final

from aiostream_server.events import (
    Action,
    Analysis,
    Event,
    Message,
    SpeechKind,
    Token,
    ToolResult,
    Usage,
    Validation,
)
from aiostream_server.runs.budget import WorkLimit
from aiostream_server.store.log import RunLog

MAX_PIECE_UNITS: Final = 8_000
"""In UTF-16 units. A piece of text stands in one SSE line, where each unit takes up to 6 bytes of ASCII; no such line
may reach 64 KiB."""


class Ledger:
    """One run's. `agents` are those who did anything, in the order in which they did it first."""

    def __init__(self, log: RunLog, work_limit: WorkLimit) -> None:
        self.agents: dict[str, None] = {}
        self.first_token_at: float | None = None
        self._log = log
        self._work_limit = work_limit

    def say(self, agent: str, text: str, kind: SpeechKind) -> None:
        """Tokens: one, or several for what is too long for one."""
        if self.first_token_at is None:
            self.first_token_at = time.monotonic()
            self.agents.setdefault(agent)
        for piece in pieces(text):
            self._log.append(Token(agent, piece, kind))

    def tell(self, event: Event) -> None:
        """Any other event."""
        match event:
            case Action():
                self._work_limit.tool_call()
                self.agents.setdefault(event.agent)
            case Validation() | Analysis() | Message():
                self._work_limit.turn()
                self.agents.setdefault(event.agent)
            case ToolResult():
                self.agents.setdefault(event.agent)
            case Usage():
                pass  # also of those who are not heard
            case _:
                self.agents.setdefault(getattr(event, "agent", ""))
        self._log.append(event)

    async def room(self) -> None:
        """Wait while every viewer is too far behind."""
        await self._log.room()


def pieces(text: str) -> Iterator[str]:
    """The text, cut where it must be; never inside a character."""
    if len(text) * 2 <= MAX_PIECE_UNITS:
        yield text
        return
    while text:
        piece = capped(text)
        yield piece
        text = text[len(piece) :]


def capped(text: str) -> str:
    """As much of the text as fits one piece."""
    if len(text) * 2 <= MAX_PIECE_UNITS:
        return text
    return text.encode("utf-16-le", "replace")[: MAX_PIECE_UNITS * 2].decode("utf-16-le", "ignore")
