"""Names the code that blocks the event loop, while it blocks it: a thread looks when the loop gives no sign of life.

The loop resets a timer of the kernel 20 times a second (`kernel_alarm`), so the thread sleeps while all is well:
each time a thread wakes, the loop's thread has to wait for it, long where the machine is busy. When the alarm rings,
the loop is in one long step, in several, or in very many short ones. The thread samples its stack (`loop_steps`): each
step that took long is told, with its run's team, agent and tool. Many short steps are told as `event_loop_lags`
(`event_loop`). The stack itself is logged at debug level.

The time that a thread waits for a processor does not count: the machine is busy then. C code that holds Python's lock,
in the loop's thread or in another one (`executor`), keeps the watching thread from looking too: what it does when this
thread can look at last is told for that time.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import structlog

from aiostream_server.service.executor import busiest_call
from aiostream_server.service.kernel_alarm import KernelAlarm
from aiostream_server.service.loop_steps import BLOCKED_S, Sample, Step, sample_of_loop
from aiostream_server.service.thread_times import ThreadStat, ThreadTimes
from aiostream_server.teams.containment import Work

_BEAT_S: Final = 0.05
_RINGS_AFTER_S: Final = 0.12
_SAMPLE_S: Final = 0.04
_LONG_S: Final = 2.0  # a block that lasts for so long is told before it ends
_MOST_LINES: Final = 10
_LINES_IN_S: Final = 10.0

_log = structlog.get_logger()


@contextmanager
def watching_the_loop() -> Iterator[None]:
    """Watch the loop that runs now."""
    watchdog = LoopWatchdog(asyncio.get_running_loop())
    try:
        yield
    finally:
        watchdog.stop()


class _Beat(NamedTuple):
    """A sign of life of the loop, and what its thread had used until then."""

    at: float
    loop: ThreadTimes


class _Moment(NamedTuple):
    """A time, and what the two threads had used and waited for until then."""

    at: float
    loop: ThreadTimes
    own: ThreadTimes


class LoopWatchdog:
    """Create it in the event loop's thread. It logs from a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop
        self._alarm: Final = KernelAlarm()
        self._thread_id: Final = threading.get_ident()
        self._loop_stat: Final = ThreadStat.of_this_thread()
        self._is_over = threading.Event()
        self._told_at: Final[deque[float]] = deque(maxlen=_MOST_LINES)
        self._untold = 0
        self._last_beat = self._before_gap = _Beat(time.monotonic(), self._loop_stat.read())
        self._beat()
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()

    def stop(self) -> None:
        """The loop is about to be closed."""
        self._is_over.set()
        self._timer.cancel()
        self._alarm.ring_in(1e-6)  # the thread ends

    def _beat(self) -> None:
        now = time.monotonic()
        self._alarm.ring_in(_RINGS_AFTER_S)
        if now - self._last_beat.at > _RINGS_AFTER_S:
            self._before_gap = self._last_beat
        self._last_beat = _Beat(now, self._loop_stat.read())
        self._timer = self._loop.call_later(_BEAT_S, self._beat)

    def _watch(self) -> None:
        """Nothing between a wait and the look behind it gives up Python's lock: the loop would go on meanwhile."""
        own_stat = ThreadStat.of_this_thread()
        looked_at = time.monotonic()
        while True:
            own = own_stat.read()
            self._alarm.wait()
            if self._is_over.is_set():
                break
            # Where another thread held Python's lock, the loop may get it before this thread does.
            is_too_late = self._before_gap.at > looked_at
            beat = self._before_gap if is_too_late else self._last_beat
            look = _Look(self, own_stat, _Moment(beat.at + _BEAT_S, beat.loop, own))
            look.sample(due_at=beat.at + _RINGS_AFTER_S, only_threads=is_too_late)
            alive = threading.Event()
            try:
                self._loop.call_soon_threadsafe(alive.set)
            except RuntimeError:  # it is closed
                break
            look.until(alive, self._is_over)
            looked_at = time.monotonic()
        for each in (self._alarm, own_stat, self._loop_stat):
            each.close()

    def moment(self, own_stat: ThreadStat) -> _Moment:
        return _Moment(time.monotonic(), self._loop_stat.read(), own_stat.read())

    def sampled(self) -> Sample | None:
        return sample_of_loop(self._loop, self._thread_id)

    def tell(self, step: Step, *, is_over: bool) -> None:
        now = time.monotonic()
        if len(self._told_at) == _MOST_LINES and now - self._told_at[0] < _LINES_IN_S:
            self._untold += 1
            return
        self._told_at.append(now)
        untold, self._untold = self._untold, 0
        work = step.sample.work or Work(None, None, None, None)
        _log.warning(
            "event_loop_blocked",
            blocked_s=round(step.seconds, 3),
            is_over=is_over,
            run_id=work.run_id,
            team=work.team,
            agent=work.agent,
            tool=work.tool,
            place=step.sample.stack[-1],
            **({"untold": untold} if untold else {}),
        )
        # not `stack`, which structlog's renderer of text takes for a text
        _log.debug("event_loop_blocked_at", run_id=work.run_id, frames=step.sample.stack)


class _Look:
    """Samples the loop, which gives no sign of life `since` then, until it lives again."""

    def __init__(self, watchdog: LoopWatchdog, own_stat: ThreadStat, since: _Moment) -> None:
        self._watchdog: Final = watchdog
        self._own_stat: Final = own_stat
        self._since = since
        self._step: Step | None = None

    def until(self, alive: threading.Event, is_over: threading.Event) -> None:
        while not is_over.is_set():
            due_at = time.monotonic() + _SAMPLE_S
            if alive.wait(_SAMPLE_S):
                break
            self.sample(due_at)
        if self._step is not None:
            since, now = self._since, self._watchdog.moment(self._own_stat)
            self._step.seconds += max(0.0, now.at - since.at - (now.own.delay_s - since.own.delay_s))
        self._end_step()

    def sample(self, due_at: float, *, only_threads: bool = False) -> None:
        """This thread was due then: it has waited since for a processor, or for Python's lock."""
        since, now = self._since, self._watchdog.moment(self._own_stat)
        own_delay_s, starved_s = now.own.delay_s - since.own.delay_s, now.loop.delay_s - since.loop.delay_s
        held_s = max(0.0, now.at - due_at - own_delay_s)
        sample = None if only_threads else self._watchdog.sampled()
        if held_s >= BLOCKED_S and now.loop.cpu_s - since.loop.cpu_s < held_s / 2:  # the loop had not the lock
            call = busiest_call(since.at)
            if call is not None and call.cpu_s >= BLOCKED_S:
                sample = Sample(call.identity, call.work, call.stack)
        self._since = now
        if self._step is None or sample is None or self._step.sample.step is not sample.step:
            self._end_step()
            if sample is None:
                return
            self._step = Step(sample)
            starved_s = max(starved_s, own_delay_s)  # other steps may have come and gone while this thread waited
        step = self._step
        step.add(sample, max(0.0, now.at - since.at - starved_s), held_s)
        if not step.is_told and step.blocks and step.seconds > _LONG_S:
            self._watchdog.tell(step, is_over=False)
            step.is_told = True

    def _end_step(self) -> None:
        if self._step is not None and (self._step.is_told or self._step.blocks):
            self._watchdog.tell(self._step, is_over=True)
        self._step = None
