"""Wakes a stream that has been silent for too long: proxies and clients drop connections that look dead.

There is one timer per stream, not one per write.
"""

import time
from collections.abc import Callable

from aiostream_server.timers import Timer, call_later


class Heartbeat:
    """Calls `wake` once `interval_s` have passed without `touch`, and again each `interval_s` of further silence."""

    __slots__ = ("_interval_s", "_timer", "_touched_at", "_wake")

    def __init__(self, interval_s: float, wake: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._wake = wake
        self._touched_at = time.monotonic()
        self._timer: Timer

    def __enter__(self) -> "Heartbeat":
        self._schedule(self._interval_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def touch(self) -> None:
        """Something was written."""
        self._touched_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._touched_at >= self._interval_s

    def _schedule(self, delay_s: float) -> None:
        self._timer = call_later(delay_s, self._tick)

    def _tick(self) -> None:
        silent_s = time.monotonic() - self._touched_at
        if silent_s >= self._interval_s:
            self._wake()
            self._schedule(self._interval_s)
        else:
            self._schedule(self._interval_s - silent_s)
