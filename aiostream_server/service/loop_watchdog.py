"""Names the code that blocks the event loop, while it blocks it: a thread looks when the loop gives no sign of life.

The loop resets a timer of the kernel 20 times a second (timerfd_create(2)), so the thread sleeps while all is well:
each time a thread wakes, the loop's thread has to wait for it, long where the machine is busy. When the alarm rings,
the loop is in one long step, or in very many short ones. The thread samples its stack: if all samples show the same
task, that task is told, with its run's team, agent and tool, and with how long it took. Many short steps are told as
`event_loop_lags` (`event_loop`). The stack itself is logged at debug level.

C code that holds the GIL all the time is seen when it returns. Time in which neither this thread nor the
loop's got the processor does not count: the machine is busy then.
"""

import asyncio
import ctypes
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import structlog

from aiostream_server.teams.containment import Work, work_in

_BEAT_S: Final = 0.05
_RINGS_AFTER_S: Final = 0.12
_BLOCKED_S: Final = 0.1
_SAMPLE_S: Final = 0.04
_LONG_S: Final = 2.0  # a block that lasts for so long is told before it ends
_MOST_LINES: Final = 10
_LINES_IN_S: Final = 10.0
_MOST_FRAMES: Final = 40

_log = structlog.get_logger()


@contextmanager
def watching_the_loop() -> Iterator[None]:
    """Watch the loop that runs now."""
    watchdog = LoopWatchdog(asyncio.get_running_loop())
    try:
        yield
    finally:
        watchdog.stop()


class LoopWatchdog:
    """Create it in the event loop's thread. It logs from a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._alarm: Final = _Alarm()
        self._thread_id: Final = threading.get_ident()
        self._clock: Final = time.pthread_getcpuclockid(self._thread_id)
        self._is_over = threading.Event()
        self._told_at: Final[deque[float]] = deque(maxlen=_MOST_LINES)
        self._untold = 0
        self._due_at = 0.0
        self._beat()
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()

    def stop(self) -> None:
        """The loop is about to be closed."""
        self._is_over.set()
        self._timer.cancel()
        self._alarm.ring_in(1e-6)  # the thread ends

    def _beat(self) -> None:
        self._alarm.ring_in(_RINGS_AFTER_S)
        self._due_at = time.monotonic() + _BEAT_S
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _watch(self) -> None:
        while True:
            self._alarm.wait()
            if self._is_over.is_set():
                self._alarm.close()
                return
            alive, due_at = threading.Event(), self._due_at
            try:
                self._loop.call_soon_threadsafe(alive.set)
            except RuntimeError:  # it is closed
                return
            self._look(alive, due_at)

    def _look(self, alive: threading.Event, asked_at: float) -> None:
        """Sample until the loop lives again."""
        block = _Block()
        while not self._is_over.is_set():
            self._sample(block)
            looked_at, cpu_s = time.monotonic(), self._cpu_s()
            is_alive = alive.wait(_SAMPLE_S)
            now = time.monotonic()
            late_s = now - looked_at - _SAMPLE_S - (self._cpu_s() - cpu_s)
            block.starved_s += late_s if late_s > _SAMPLE_S else 0.0
            if is_alive:
                break
            if not block.is_told and now - asked_at > _LONG_S:
                self._tell(block, now - asked_at, is_over=False)
                block.is_told = True
        blocked_s = time.monotonic() - asked_at
        if block.is_told or blocked_s - block.starved_s >= _BLOCKED_S:
            self._tell(block, blocked_s, is_over=True)

    def _cpu_s(self) -> float:
        """The processor time of the loop's thread so far."""
        return time.clock_gettime(self._clock)

    def _sample(self, block: "_Block") -> None:
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - documented
        if frame is not None:
            block.add(asyncio.current_task(self._loop), frame)

    def _tell(self, block: "_Block", blocked_s: float, *, is_over: bool) -> None:
        if not block.is_one_step:
            return
        now = time.monotonic()
        if len(self._told_at) == _MOST_LINES and now - self._told_at[0] < _LINES_IN_S:
            self._untold += 1
            return
        self._told_at.append(now)
        untold, self._untold = self._untold, 0
        work = block.work or Work(None, None, None, None)
        _log.warning(
            "event_loop_blocked",
            blocked_s=round(blocked_s, 3),
            is_over=is_over,
            run_id=work.run_id,
            team=work.team,
            agent=work.agent,
            tool=work.tool,
            place=block.stack[-1],
            **({"untold": untold} if untold else {}),
        )
        _log.debug("event_loop_blocked_at", run_id=work.run_id, stack=block.stack)


class _Alarm:
    """A timer of the kernel. Resetting it takes a microsecond and wakes no thread."""

    def __init__(self) -> None:
        self._libc: Final = ctypes.PyDLL(None)
        self._descriptor: Final[int] = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
        self._time: Final = (ctypes.c_long * 4)()  # struct itimerspec: the interval, then the time

    def ring_in(self, seconds: float) -> None:
        """Set the alarm anew, to ring in at most a second."""
        self._time[3] = int(seconds * 1e9)
        self._libc.timerfd_settime(self._descriptor, 0, self._time, None)

    def wait(self) -> None:
        os.read(self._descriptor, 8)

    def close(self) -> None:
        os.close(self._descriptor)


class _Block:
    """One time without a sign of life. `stack` is the last sample, the innermost frame last."""

    def __init__(self) -> None:
        self.starved_s = 0.0
        self.is_told = False
        self.work: Work | None = None
        self.stack: list[str] = []
        self._samples = 0
        self._step: object = None
        self._is_one_step = True

    @property
    def is_one_step(self) -> bool:
        """Whether several samples show the same task, or the same callback."""
        return self._is_one_step and self._samples > 1

    def add(self, task: asyncio.Task[Any] | None, frame: FrameType) -> None:
        frames = _frames(frame)
        step: object = task if task is not None else frames[0].f_code
        if self._samples and step is not self._step:
            self._is_one_step = False
        self._samples += 1
        self._step = step
        self.work = work_in(frame)
        self.stack = [f"{each.f_code.co_filename}:{each.f_lineno} {each.f_code.co_qualname}" for each in frames]


def _frames(frame: FrameType) -> list[FrameType]:
    """The stack inside of the event loop, the innermost frame last; all of it for another loop than asyncio's."""
    found: list[FrameType] = []
    at: FrameType | None = frame
    while at is not None and len(found) < _MOST_FRAMES and not _is_of_the_loop(at):
        found.append(at)
        at = at.f_back
    return found[::-1] or [frame]


def _is_of_the_loop(frame: FrameType) -> bool:
    file = Path(frame.f_code.co_filename)
    return file.parent.name == "asyncio" and file.name in ("events.py", "base_events.py", "runners.py")
