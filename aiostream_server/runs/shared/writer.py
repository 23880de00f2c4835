"""Writes the runs of this process to Redis, behind their logs, many in one call (`WriteSchedule` says when).

Nothing waits for it but the end of a turn that is kept in a conversation, and a producer that has used up its reserved
numbers. After an outage it continues where Redis says that it stands.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import RunsUnavailable
from aiostream_server.events import FinishReason
from aiostream_server.log.redis.append_call import Append
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.write_order import WriteOrder
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.owned import OwnedRun
from aiostream_server.runs.shared.write_calls import WriteCalls
from aiostream_server.runs.shared.write_schedule import WriteSchedule

_PAUSE_S: Final = 0.2  # where it cannot be written
_COMPLETE_S: Final = 2.0
_VIEWED_S: Final = 5.0  # a process repeats once a second that it has viewers
_CALL_BYTES: Final = 512 * 1024
_CALL_APPENDS: Final = 300
_CALL_RUNS: Final = 100  # a script holds up all other callers of Redis
_UNKNOWN, _NOT_OURS = -1, -2

_log = structlog.get_logger()


class Writer:
    """`on_taken_over` is called with a run that belongs to another process now: this one was silent for too long."""

    def __init__(
        self, connection: RedisConnection, node: str, limits: LimitsConfig, on_taken_over: Callable[[OwnedRun], object]
    ) -> None:
        self.limits = limits
        self._connection: Final = connection
        self._on_taken_over: Final = on_taken_over
        self._runs: Final[dict[str, OwnedRun]] = {}
        self._finished: Final[dict[str, OwnedRun]] = {}
        """Redis has all of them, and may lose it: in a failover to a replica that lags, or with its data."""
        self._viewed: Final[set[str]] = set()
        self._schedule: Final = WriteSchedule()
        self._calls: Final = WriteCalls(connection, node, self._doubt_all)
        self._writing: Final = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs or run_id in self._finished

    def add(self, run: Run) -> None:
        is_late = not self._connection.is_available
        owned = self._runs[run.id] = OwnedRun(run, self.limits.retention_s, is_late=is_late)
        owned.log.on_shortage = lambda: self.hurry(run.id)
        owned.log.on_turn_end = lambda: self._schedule.write_soon(run.id)
        owned.log.on_complete = lambda: self._complete(run.id)
        owned.log.doubts = lambda: self._doubts(owned)
        if run.on_disconnect == "continue" or run.earlier is not None:  # others may look for it at once
            self.hurry(run.id)
        else:
            self._schedule.write_soon(run.id)

    async def written(self, run_id: str, within_s: float) -> None:
        """Wait until Redis knows the run, unless it is away."""
        owned = self._runs.get(run_id)
        if owned is not None and not owned.is_known and self._connection.is_available:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await owned.known.wait()

    async def left(self, run_id: str, within_s: float) -> None:
        """Wait until nothing more is written of the run."""
        if (owned := self._runs.get(run_id)) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await owned.left.wait()

    def note_start(self, run_id: str, start: str, fingerprint: str = "") -> None:
        """The run was started with this idempotency key, which was used for what has this fingerprint."""
        if (owned := self._runs.get(run_id)) is not None:
            owned.start, owned.fingerprint = start, fingerprint

    @property
    def lifetime_ms(self) -> int:
        """For keys that stay behind if all processes fail."""
        limits = self.limits
        return round((limits.run_timeout_s + limits.queue_timeout_s + limits.retention_s + 3600) * 1000)

    def hurry(self, run_id: str) -> None:
        """Write this run now."""
        self._schedule.hurry(run_id)

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
            self.hurry(run_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMPLETE_S):
                    await owned.completed.wait()

    def discard(self, run_id: str) -> None:
        """Write nothing more of a finished run."""
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

    async def pause(self) -> None:
        """Return when what is being written now was written."""
        async with self._writing:
            pass

    def check_all(self) -> None:
        """Redis may have lost runs, or given them to another process: find out."""
        for run_id, owned in self._finished.items():
            owned.left.clear()
            self._runs[run_id] = owned
        self._finished.clear()
        for run_id, owned in self._runs.items():
            owned.disagreed(owned.written)
            self.hurry(run_id)

    def stop(self, run_id: str, reason: FinishReason) -> None:
        if (owned := self._runs.get(run_id)) is not None:
            owned.run.end(reason)

    def watch(self, run_id: str, node: str) -> None:
        """Another process has viewers of the run."""
        if (owned := self._runs.get(run_id)) is not None:
            owned.watch(node, asyncio.get_running_loop().time() + _VIEWED_S)
            if run_id not in self._viewed:
                self._viewed.add(run_id)
                owned.call_at_news(self._schedule.viewed_news)

    def unwatch(self, run_id: str, node: str) -> None:
        if (owned := self._runs.get(run_id)) is not None:
            self._unwatch(owned, node)

    def _unwatch(self, owned: OwnedRun, node: str) -> None:
        owned.unwatch(node)
        if not owned.viewers:
            self._viewed.discard(owned.run.id)

    async def write_for_ever(self) -> None:
        while True:
            while not self._connection.is_available:
                self._schedule.keep(self._runs)
                await asyncio.sleep(_PAUSE_S)  # the thread of the lease looks whether Redis is back
            await self._schedule.until_due(bool(self._runs))
            try:
                async with self._writing:
                    await self._write(self._due())
            except RunsUnavailable:
                pass  # what is not written now is written later
            except Exception:  # a bug, which must not end the writing of all runs
                _log.exception("runs_not_written")
                await asyncio.sleep(_PAUSE_S)  # it may come again: neither the log nor the event loop is flooded

    async def settle(self, within_s: float) -> None:
        """Write all that finished runs still have to say. For the end of the process."""
        with suppress(TimeoutError, RunsUnavailable):
            async with asyncio.timeout(within_s):
                async with self._writing:
                    while finished := [each for each in self._runs.values() if each.run.finished is not None]:
                        await self._write(finished)

    def _due(self) -> list[OwnedRun]:
        names = self._schedule.due(self._viewed)
        if names is None:
            self._forget_viewers(asyncio.get_running_loop().time())
            names = set(self._runs)
        return [owned for name in names if (owned := self._runs.get(name)) is not None and owned.is_due]

    def _forget_viewers(self, now: float) -> None:
        for owned in tuple(self._runs.values()):
            for node in [node for node, until in owned.viewers.items() if until < now]:
                self._unwatch(owned, node)

    async def _write(self, due: list[OwnedRun]) -> None:
        while due:
            appends: list[tuple[OwnedRun, Append]] = []
            orders: list[tuple[OwnedRun, WriteOrder]] = []
            size = 0
            while due and size < _CALL_BYTES and len(orders) < _CALL_RUNS and len(appends) < _CALL_APPENDS:
                owned = due.pop()
                order = self._order(owned)
                if isinstance(order, Append):
                    appends.append((owned, order))
                    size += len(order.payload)
                elif order is not None:
                    orders.append((owned, order))
                    size += sum(len(chunk.payload) for chunk in order.chunks)
            if appends:
                await self._append(appends)
            if orders:
                stored = await self._calls.write([order for _, order in orders], self.lifetime_ms)
                for (owned, order), last in zip(orders, stored, strict=True):
                    if owned.run.id in self._runs:  # else it was discarded meanwhile
                        self._take(owned, order.last, last)

    async def _append(self, appends: list[tuple[OwnedRun, Append]]) -> None:
        appends.sort(key=lambda each: not each[1].is_viewed)
        written = await self._calls.append([append for _, append in appends], self.lifetime_ms)
        for (owned, append), is_written in zip(appends, written, strict=True):
            if not is_written:
                owned.doubt()
                self.hurry(owned.run.id)
                continue
            owned.appended(append.last)
            if owned.viewers:
                owned.call_at_news(self._schedule.viewed_news)

    def _doubt_all(self) -> None:
        for owned in self._runs.values():
            owned.doubt()

    def _order(self, owned: OwnedRun) -> WriteOrder | Append | None:
        """None for a run that cannot be packed: it goes on here, and others see it end when its lease is over."""
        try:
            return owned.order(asyncio.get_running_loop().time())
        except Exception:  # a bug, which must not hold up the other runs
            _log.exception("run_not_shared", run_id=owned.run.id)
            self._remove(owned.run.id)
            return None

    def _take(self, owned: OwnedRun, last: int, stored: int) -> None:
        """`last` is what was sent, `stored` what Redis has."""
        run = owned.run
        if stored == last:
            owned.wrote(last, asyncio.get_running_loop().time())
            if owned.viewers:
                owned.call_at_news(self._schedule.viewed_news)
            if owned.is_done and not owned.is_due:
                self._remove(run.id)
                if owned.is_kept:
                    self._finished[run.id] = owned
            return
        if stored == _NOT_OURS:
            self.lose(run.id)
            return
        if stored == _UNKNOWN:
            owned.forgotten()
        else:  # an answer was lost, or a replica without the latest events has taken over
            owned.disagreed(stored)
        self.hurry(run.id)

    def _remove(self, run_id: str) -> None:
        owned = self._runs.pop(run_id)
        owned.left.set()
        for node in tuple(owned.viewers):
            self._unwatch(owned, node)
