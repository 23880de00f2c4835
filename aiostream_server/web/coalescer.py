"""Coalesces tokens into fewer writes, for a client that renders its whole page anew at each."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiostream_server.events import Entry, Token

_MAX_WAITING_CHARS: Final = 4_000
_LONG_CHARS: Final = 18_000
_LONG_INTERVAL_S: Final = 0.25
_MAX_INTERVAL_S: Final = 1.0


class Coalescer:
    """Holds tokens back until an interval has passed since the last write of tokens.

    The interval is `interval_s` at first and grows with the answer, to 0.25 s at 18,000 characters and to 1 s at most:
    the client renders all of them at each write. The first token after a silence is not held. Any other event releases
    everything at once, and so do 4,000 waiting characters. Calls `wake` when the interval is over. With an interval of
    0 nothing waits, and there is no timer.
    """

    __slots__ = ("_chars", "_first_s", "_is_urgent", "_timer", "_waiting", "_wake", "_written_at", "_written_chars")

    def __init__(self, interval_s: float, wake: Callable[[], None]) -> None:
        self._first_s = interval_s
        self._wake = wake
        self._written_chars = 0
        self._waiting: list[Entry] = []
        self._chars = 0
        self._is_urgent = False
        self._written_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> "Coalescer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def add(self, entries: Sequence[Entry]) -> None:
        self._waiting += entries
        for entry in entries:
            if isinstance(entry.event, Token):
                self._chars += len(entry.event.content)
            elif not entry.event.may_wait:
                self._is_urgent = True

    @property
    def has_due(self) -> bool:
        """Whether waiting entries are to be written now."""
        return bool(self._waiting) and (self._is_urgent or self._chars >= _MAX_WAITING_CHARS or self._is_time())

    def take(self) -> Sequence[Entry]:
        """The entries to write now; none if they have to wait."""
        if self.has_due:
            taken, self._waiting = self._waiting, []
            self._written_at = time.monotonic() if self._chars else self._written_at
            self._written_chars += self._chars
            self._chars, self._is_urgent = 0, False
            return taken
        if self._waiting and self._timer is None:
            delay_s = self._written_at + self._interval_s - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)
        return ()

    @property
    def _interval_s(self) -> float:
        growth_s = max(0.0, _LONG_INTERVAL_S - self._first_s) * self._written_chars / _LONG_CHARS
        return max(self._first_s, min(_MAX_INTERVAL_S, self._first_s + growth_s)) if self._first_s else 0.0

    def _is_time(self) -> bool:
        return time.monotonic() - self._written_at >= self._interval_s

    def _tick(self) -> None:
        self._timer = None
        self._wake()
