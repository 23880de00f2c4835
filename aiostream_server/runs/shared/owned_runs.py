"""The runs that this process drives, until all of them is in Redis, and those that have ended and are kept here."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import structlog

from aiostream_server.config.model import LimitsConfig
from aiostream_server.events import FinishReason
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.owned import OwnedRun
from aiostream_server.runs.shared.write_schedule import WriteSchedule

_COMPLETE_S: Final = 2.0
_VIEWED_S: Final = 5.0  # a process repeats once a second that it has viewers

_log = structlog.get_logger()


class OwnedRuns:
    """By id. `on_taken_over` is called with a run that belongs to another process now: this one was silent for too
    long. Its methods decide which run is written when; `Writer` writes it."""

    def __init__(
        self, connection: RedisConnection, limits: LimitsConfig, on_taken_over: Callable[[OwnedRun], object]
    ) -> None:
        self.limits = limits
        self.schedule: Final = WriteSchedule()
        self.viewed: Final[set[str]] = set()
        """Those with viewers in other processes."""
        self._connection: Final = connection
        self._on_taken_over: Final = on_taken_over
        self._runs: Final[dict[str, OwnedRun]] = {}
        self._finished: Final[dict[str, OwnedRun]] = {}
        """Redis has all of them, and may lose it: in a failover to a replica that lags, or with its data."""

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._runs or run_id in self._finished

    def __len__(self) -> int:
        """How many may have something to write."""
        return len(self._runs)

    def __iter__(self) -> Iterator[OwnedRun]:
        """Those that may have something to write. They may be removed meanwhile."""
        return iter(tuple(self._runs.values()))

    def find(self, run_id: str) -> OwnedRun | None:
        """One that may have something to write."""
        return self._runs.get(run_id)

    @property
    def lifetime_ms(self) -> int:
        """For keys that stay behind if all processes fail."""
        limits = self.limits
        return round((limits.run_timeout_s + limits.queue_timeout_s + limits.retention_s + 3600) * 1000)

    def add(self, run: Run) -> None:
        is_late = not self._connection.is_available
        owned = self._runs[run.id] = OwnedRun(run, self.limits.retention_s, is_late=is_late)
        owned.log.on_shortage = lambda: self.schedule.hurry(run.id)
        owned.log.on_turn_end = lambda: self.schedule.write_soon(run.id)
        owned.log.on_complete = lambda: self._complete(run.id)
        owned.log.doubts = lambda: self._doubts(owned)
        if run.on_disconnect == "continue" or run.earlier is not None:  # others may look for it at once
            self.schedule.hurry(run.id)
        else:
            self.schedule.write_soon(run.id)

    def note_start(self, run_id: str, start: str, fingerprint: str = "") -> None:
        """The run was started with this idempotency key, which was used for what has this fingerprint."""
        if (owned := self._runs.get(run_id)) is not None:
            owned.start, owned.fingerprint = start, fingerprint

    def stop(self, run_id: str, reason: FinishReason) -> None:
        if (owned := self._runs.get(run_id)) is not None:
            owned.run.end(reason)

    async def written(self, run_id: str, within_s: float) -> None:
        """Wait until Redis knows the run, unless it is away."""
        owned = self._runs.get(run_id)
        if owned is not None and not owned.is_known and self._connection.is_available:
            await _wait(owned.known, within_s)

    async def left(self, run_id: str, within_s: float) -> None:
        """Wait until nothing more is written of the run."""
        if (owned := self._runs.get(run_id)) is not None:
            await _wait(owned.left, within_s)

    def keep(self, owned: OwnedRun) -> None:
        """Redis has all of the finished run."""
        self._remove(owned.run.id)
        if owned.is_kept:
            self._finished[owned.run.id] = owned

    def discard(self, run_id: str) -> None:
        """Write nothing more of a run."""
        self.forget(run_id)
        if run_id in self._runs:
            self._remove(run_id)

    def forget(self, run_id: str) -> None:
        """The process keeps the finished run no longer: it cannot be written again."""
        self._finished.pop(run_id, None)
        if (owned := self._runs.get(run_id)) is not None:
            owned.is_kept = False
            if not (owned.is_known or self._connection.is_available):
                self._remove(run_id)  # Redis is away for long, and has never known it

    def lose(self, run_id: str) -> None:
        """Another process has taken the run over: end it here."""
        if (owned := self._runs.get(run_id)) is not None:
            self._remove(run_id)
            self._on_taken_over(owned)
            owned.run.end("interrupted")
            _log.warning("run_taken_over", run_id=run_id)

    def check_all(self) -> None:
        """Redis may have lost runs, or given them to another process: find out."""
        for run_id, owned in self._finished.items():
            owned.left.clear()
            self._runs[run_id] = owned
        self._finished.clear()
        for run_id, owned in self._runs.items():
            owned.disagreed(owned.written)
            self.schedule.hurry(run_id)

    def doubt_all(self) -> None:
        """As `check_all`, for runs that may have lost their latest events, when they have something to write."""
        for owned in self._runs.values():
            owned.doubt()

    def watch(self, run_id: str, node: str) -> None:
        """Another process has viewers of the run."""
        if (owned := self._runs.get(run_id)) is not None:
            owned.watch(node, asyncio.get_running_loop().time() + _VIEWED_S)
            if run_id not in self.viewed:
                self.viewed.add(run_id)
                owned.call_at_news(self.schedule.viewed_news)

    def unwatch(self, run_id: str, node: str) -> None:
        if (owned := self._runs.get(run_id)) is not None:
            self._unwatch(owned, node)

    def forget_viewers(self, now: float) -> None:
        """Those of processes that repeat it no longer, by the event loop's time."""
        for owned in self:
            for node in [node for node, until in owned.viewers.items() if until < now]:
                self._unwatch(owned, node)

    def _unwatch(self, owned: OwnedRun, node: str) -> None:
        owned.unwatch(node)
        if not owned.viewers:
            self.viewed.discard(owned.run.id)

    def _remove(self, run_id: str) -> None:
        owned = self._runs.pop(run_id)
        owned.left.set()
        for node in tuple(owned.viewers):
            self._unwatch(owned, node)

    def _doubts(self, owned: OwnedRun) -> bool:
        """Whether the lease was over at some time, and Redis has not yet said what has become of the run.

        While Redis is away no other process can take it over, and there is no doubt.
        """
        return self._connection.was_stopped or (owned.is_known and not owned.is_confirmed)

    async def _complete(self, run_id: str) -> None:
        """Wait until Redis knows that the team has done its turn, unless it is away and there is no doubt. A run that
        another process has taken over is ended meanwhile."""
        owned = self._runs.get(run_id)
        if owned is not None and (self._connection.is_available or self._doubts(owned)):
            owned.is_complete = True
            self.schedule.hurry(run_id)
            await _wait(owned.completed, _COMPLETE_S)


async def _wait(event: asyncio.Event, within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
