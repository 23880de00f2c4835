"""Writes the runs of this process to Redis, behind their logs, many in one call (`WriteSchedule` says when).

Nothing waits for it but the end of a turn that is kept in a conversation, and a producer that has used up its reserved
numbers. After an outage it continues where Redis says that it stands.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from aiostream_server.errors import RunsUnavailable
from aiostream_server.log.redis.append_call import Append
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.write_order import WriteOrder
from aiostream_server.runs.shared.owned import OwnedRun
from aiostream_server.runs.shared.owned_runs import OwnedRuns
from aiostream_server.runs.shared.write_calls import WriteCalls

_PAUSE_S: Final = 0.2  # where it cannot be written
_CALL_BYTES: Final = 512 * 1024
_CALL_APPENDS: Final = 300
_CALL_RUNS: Final = 100  # a script holds up all other callers of Redis
_UNKNOWN, _NOT_OURS = -1, -2

_log = structlog.get_logger()


class Writer:
    """`on_end` is called with each run whose end Redis has: it has freed its slot and its turn."""

    def __init__(
        self, connection: RedisConnection, node: str, runs: OwnedRuns, on_end: Callable[[str], object]
    ) -> None:
        self._connection: Final = connection
        self._runs: Final = runs
        self._on_end: Final = on_end
        self._calls: Final = WriteCalls(connection, node, runs.doubt_all)
        self._writing: Final = asyncio.Lock()

    async def pause(self) -> None:
        """Return when what is being written now was written."""
        async with self._writing:
            pass

    async def write_for_ever(self) -> None:
        schedule = self._runs.schedule
        while True:
            while not self._connection.is_available:
                schedule.keep(self._runs)
                await asyncio.sleep(_PAUSE_S)  # the thread of the lease looks whether Redis is back
            await schedule.until_due(bool(self._runs))
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
                    while finished := [each for each in self._runs if each.run.finished is not None]:
                        await self._write(finished)

    def _due(self) -> list[OwnedRun]:
        runs = self._runs
        names = runs.schedule.due(runs.viewed)
        if names is None:
            runs.forget_viewers(asyncio.get_running_loop().time())
            return [owned for owned in runs if owned.is_due]
        return [owned for name in names if (owned := runs.find(name)) is not None and owned.is_due]

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
                stored = await self._calls.write([order for _, order in orders], self._runs.lifetime_ms)
                for (owned, order), last in zip(orders, stored, strict=True):
                    if self._runs.find(owned.run.id) is not None:  # else it was discarded meanwhile
                        self._take(owned, order.last, last)

    async def _append(self, appends: list[tuple[OwnedRun, Append]]) -> None:
        appends.sort(key=lambda each: not each[1].is_viewed)
        written = await self._calls.append([append for _, append in appends], self._runs.lifetime_ms)
        for (owned, append), is_written in zip(appends, written, strict=True):
            if not is_written:
                owned.doubt()
                self._runs.schedule.hurry(owned.run.id)
                continue
            owned.appended(append.last)
            self._await_news(owned)

    def _order(self, owned: OwnedRun) -> WriteOrder | Append | None:
        """None for a run that cannot be packed: it goes on here, and others see it end when its lease is over."""
        try:
            return owned.order(asyncio.get_running_loop().time())
        except Exception:  # a bug, which must not hold up the other runs
            _log.exception("run_not_shared", run_id=owned.run.id)
            self._runs.discard(owned.run.id)
            return None

    def _take(self, owned: OwnedRun, last: int, stored: int) -> None:
        """`last` is what was sent, `stored` what Redis has."""
        run_id = owned.run.id
        if stored == last:
            owned.wrote(last, asyncio.get_running_loop().time())
            self._await_news(owned)
            if owned.is_done:
                self._on_end(run_id)
                if not owned.is_due:
                    self._runs.keep(owned)
            return
        if stored == _NOT_OURS:
            self._runs.lose(run_id)
            return
        if stored == _UNKNOWN:
            owned.forgotten()
        else:  # an answer was lost, or a replica without the latest events has taken over
            owned.disagreed(stored)
        self._runs.schedule.hurry(run_id)

    def _await_news(self, owned: OwnedRun) -> None:
        if owned.viewers:
            owned.call_at_news(self._runs.schedule.viewed_news)
