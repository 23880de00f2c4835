"""What goes into a run's log: in pieces that fit one SSE line, and counted."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from aiostream_server.events import (
    Action,
    Analysis,
    Event,
    Message,
    SpeechKind,
    Thinking,
    Usage,
    Validation,
)
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.protocol import Log
from aiostream_server.runs.budget import WorkLimit

MAX_PIECE_UNITS: Final = 8_000
"""In UTF-16 units. A piece of text stands in one SSE line, where each unit takes up to 6 bytes of ASCII; no such line
may reach 64 KiB."""

_MAX_NAME_CHARS: Final = 200
_MAX_REPEATED_CHARS: Final = 200_000


class Ledger:
    """One run's. `agents` are those who did anything, in the order in which they did it first."""

    __slots__ = ("_log", "agents", "first_token_at", "work_limit")

    def __init__(self, log: Log, work_limit: WorkLimit) -> None:
        self.agents: dict[str, None] = {}
        self.first_token_at: float | None = None
        self.work_limit: Final = work_limit
        self._log = log

    def say(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bool:
        """Tokens: one for each text, or several for one that is too long. They reach the log in one go.

        Whether there is room for more: else it `is_full`, perhaps.
        """
        if self.first_token_at is None:
            self.first_token_at = time.monotonic()
            self.agents.setdefault(agent)
        if len(texts[0] if len(texts) == 1 else max(texts, key=len)) * 2 > MAX_PIECE_UNITS:
            texts = [piece for text in texts for piece in pieces(text)]
        return self._log.say(agent if len(agent) <= _MAX_NAME_CHARS else shortened(agent), kind, texts)

    def tell(self, event: Event) -> None:
        """Any other event. A whole message that is too long for one is told as if it had been streamed."""
        agent = getattr(event, "agent", "")
        if isinstance(event, Thinking | Validation | Analysis | Message) and not event.streamed:
            event = replace(event, streamed=self.say_if_long(agent, event.content, event.type))
        match event:
            case Action():
                self.work_limit.tool_call()
            case Validation() | Analysis() | Message():
                self.work_limit.ended_turn()
        if getattr(event, "streamed", False):
            event = _without_repetition(event)
        if not isinstance(event, Usage):  # that is told also of those who are not heard
            self.agents.setdefault(agent)
        self._log.append(event if agent == shortened(agent) else _renamed(event))

    def say_if_long(self, agent: str, text: str, kind: SpeechKind) -> bool:
        """Whether the text had to be said as tokens."""
        is_long = len(text) > len(capped(text))
        if is_long:
            self.say(agent, kind, (text,))
        return is_long

    def release(self) -> None:
        """Let go of the log: what is told from now on is told to nobody."""
        self._log = MemoryLog("")

    def alive(self) -> None:
        """Nothing to write, but a model is at work: the run is not idle."""
        self._log.last_active_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Whether every viewer is too far behind: then wait for `room`."""
        return self._log.is_full

    async def room(self) -> None:
        await self._log.room()


def pieces(text: str) -> Sequence[str]:
    """The text, cut where it must be; never inside a character."""
    if len(text) * 2 <= MAX_PIECE_UNITS:
        return (text,) if text else ()
    cut: list[str] = []
    start = 0
    while piece := capped(text, start):
        cut.append(piece)
        start += len(piece)
    return cut


def capped(text: str, start: int = 0) -> str:
    """As much of the text, from `start` on, as fits one piece."""
    if not start and len(text) * 2 <= MAX_PIECE_UNITS:
        return text
    head = text[start : start + MAX_PIECE_UNITS]
    return head.encode("utf-16-le", "replace")[: MAX_PIECE_UNITS * 2].decode("utf-16-le", "ignore")


def shortened(name: str) -> str:
    """A name that somebody gave to an agent, a tool or a call; cut, with a mark, where that is absurdly long."""
    return name if len(name) <= _MAX_NAME_CHARS else f"{name[: _MAX_NAME_CHARS - 1]}…"


def _without_repetition(event: Any) -> Event:
    """What stood in tokens is repeated up to a bound: a huge message's repetition would push them out of the log."""
    if len(event.content) <= _MAX_REPEATED_CHARS:
        unchanged: Event = event
        return unchanged
    cut: Event = replace(event, content=event.content[:_MAX_REPEATED_CHARS])
    return cut


def _renamed(event: Any) -> Event:
    renamed: Event = replace(event, agent=shortened(event.agent))
    return renamed
