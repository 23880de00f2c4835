"""Timers for waits that nearly always end before their time: heartbeats, idle timeouts, deadlines of runs.

All of an event loop's share one timer of the loop. uvloop's own timers take 0.55 KiB each, of which a live stream has
three; these take 0.17. Their callbacks run in an empty context, must be short, and log nothing of the run.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context
from typing import Final
from weakref import WeakKeyDictionary

_MOST_CANCELLED: Final = 64  # that stay in the heap, or half of it


class Timer:
    """Calls `callback` once, when the event loop's time is `when`."""

    __slots__ = ("_callback", "_clock", "when")

    def __init__(self, when: float, callback: Callable[[], object], clock: "_Clock") -> None:
        self.when: Final = when
        self._callback: Callable[[], object] | None = callback
        self._clock: Final = clock

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when

    @property
    def is_over(self) -> bool:
        """Whether it was called or cancelled."""
        return self._callback is None

    def cancel(self) -> None:
        """May be called again, and after the callback was."""
        if self._callback is not None:
            self._callback = None
            self._clock.forget()

    def take(self) -> Callable[[], object] | None:
        """The callback, which is forgotten."""
        callback, self._callback = self._callback, None
        return callback


def call_at(when: float, callback: Callable[[], object]) -> Timer:
    """Call it when the running loop's `time()` is `when`."""
    loop = asyncio.get_running_loop()
    clock = _clocks.get(loop)
    if clock is None:
        clock = _clocks[loop] = _Clock()
    timer = Timer(when, callback, clock)
    clock.add(timer, loop)
    return timer


def call_later(delay_s: float, callback: Callable[[], object]) -> Timer:
    """Call it in `delay_s`."""
    return call_at(asyncio.get_running_loop().time() + delay_s, callback)


class _Clock:
    """The timers of one event loop, the next one first."""

    __slots__ = ("__weakref__", "_cancelled", "_handle", "_timers")

    def __init__(self) -> None:
        self._timers: list[Timer] = []
        self._cancelled = 0
        self._handle: asyncio.TimerHandle | None = None

    def add(self, timer: Timer, loop: asyncio.AbstractEventLoop) -> None:
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._set(loop)

    def forget(self) -> None:
        """One more was cancelled."""
        self._cancelled += 1
        if self._cancelled > max(_MOST_CANCELLED, len(self._timers) // 2):
            self._timers = [timer for timer in self._timers if not timer.is_over]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._timers:  # in a context of its own: that of the run that happens to set it would live on
            self._handle = loop.call_at(self._timers[0].when, self._ring, loop, context=Context())

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = None
        now = loop.time()
        while self._timers and (self._timers[0].is_over or self._timers[0].when <= now):
            callback = heapq.heappop(self._timers).take()
            if callback is None:
                self._cancelled -= 1
                continue
            try:
                callback()
            except Exception as exc:
                loop.call_exception_handler({"message": f"Exception in timer {callback!r}", "exception": exc})
        self._set(loop)


_clocks: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Clock]] = WeakKeyDictionary()
