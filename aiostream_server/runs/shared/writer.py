"""Writes the runs of this process to Redis, behind their logs: all of them in one call.

Every 200 ms; every 10 ms those with viewers in other processes, who get them published; 20 ms after an agent has ended
its turn; and at once a run that begins or ends, or whose team is done. Nothing waits for it but the end of a turn that
is kept in a conversation, and a producer that has used up its reserved numbers. After an outage it continues where
Redis says that it stands.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import RunsUnavailable
from aiostream_server.events import FinishReason
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import WRITE
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.owned import OwnedRun

_PERIOD_S: Final = 0.2
_VIEWED_PERIOD_S: Final = 0.01
_TURN_PERIOD_S: Final = 0.02  # the turns of agents that end in so short a time are written in one call
_COMPLETE_S: Final = 2.0
_VIEWED_S: Final = 5.0  # a process repeats once a second that it has viewers
_CALL_BYTES: Final = 512 * 1024
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
        self._node: Final = node
        self._on_taken_over: Final = on_taken_over
        self._runs: Final[dict[str, OwnedRun]] = {}
        self._hurried: Final[set[str]] = set()
        self._turns: Final[set[str]] = set()  # runs in which an agent has ended its turn
        self._turns_at = 0.0
        self._wake: Final = asyncio.Event()
        self._all_at = 0.0
        self._writing: Final = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def add(self, run: Run) -> None:
        owned = self._runs[run.id] = OwnedRun(run, self.limits.retention_s)
        owned.log.on_shortage = lambda: self.hurry(run.id)
        owned.log.on_turn_end = lambda: self._turn_ended(run.id)
        owned.log.on_complete = lambda: self._complete(run.id)
        self.hurry(run.id)

    async def written(self, run_id: str, within_s: float) -> None:
        """Wait until Redis knows the run, unless it is away."""
        owned = self._runs.get(run_id)
        if owned is not None and not owned.is_known and self._connection.is_available:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await owned.known.wait()

    def note_start(self, run_id: str, start: str) -> None:
        """The run was started with this idempotency key."""
        if (owned := self._runs.get(run_id)) is not None:
            owned.start = start

    @property
    def lifetime_ms(self) -> int:
        """Of what nobody would delete, if all processes failed."""
        limits = self.limits
        return round((limits.run_timeout_s + limits.queue_timeout_s + limits.retention_s + 3600) * 1000)

    def hurry(self, run_id: str) -> None:
        """Write this run now."""
        self._hurried.add(run_id)
        self._wake.set()

    def _turn_ended(self, run_id: str) -> None:
        if not self._turns:
            self._turns_at = asyncio.get_running_loop().time() + _TURN_PERIOD_S
            self._wake.set()
        self._turns.add(run_id)

    async def _complete(self, run_id: str) -> None:
        """Wait until Redis knows that the team has done its turn, unless it is away. A run that another process has
        taken over is ended meanwhile."""
        owned = self._runs.get(run_id)
        if owned is not None and self._connection.is_available:
            owned.is_complete = True
            self.hurry(run_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMPLETE_S):
                    await owned.completed.wait()

    def discard(self, run_id: str) -> None:
        """Write nothing more of a finished run."""
        if run_id in self._runs:
            self._remove(run_id)

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
            self.hurry(run_id)

    def unwatch(self, run_id: str, node: str) -> None:
        if (owned := self._runs.get(run_id)) is not None:
            owned.unwatch(node)

    async def write_for_ever(self) -> None:
        while True:
            await self._until_due()
            with suppress(RunsUnavailable):  # what is not written now is written later
                async with self._writing:
                    await self._write(self._due())

    async def settle(self, within_s: float) -> None:
        """Write all that finished runs still have to say. For the end of the process."""
        with suppress(TimeoutError, RunsUnavailable):
            async with asyncio.timeout(within_s):
                async with self._writing:
                    while finished := [each for each in self._runs.values() if each.run.finished is not None]:
                        await self._write(finished)

    async def _until_due(self) -> None:
        timeout: float | None = None
        if self._runs:
            due_at = min(self._all_at, self._turns_at) if self._turns else self._all_at
            left_s = max(0.0, due_at - asyncio.get_running_loop().time())
            timeout = min(left_s, _VIEWED_PERIOD_S) if any(each.viewers for each in self._runs.values()) else left_s
        if not self._connection.is_available:
            timeout = _PERIOD_S
            self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        self._wake.clear()

    def _due(self) -> list[OwnedRun]:
        now = asyncio.get_running_loop().time()
        if self._turns and now >= self._turns_at:
            self._hurried.update(self._turns)
            self._turns.clear()
        hurried = {run_id for run_id in self._hurried if run_id in self._runs}
        self._hurried.clear()
        if now >= self._all_at:
            self._all_at = now + _PERIOD_S
            self._forget_viewers(now)
            due: Iterable[OwnedRun] = tuple(self._runs.values())
        else:
            due = [each for run_id, each in self._runs.items() if each.viewers or run_id in hurried]
        return [each for each in due if each.is_due]

    def _forget_viewers(self, now: float) -> None:
        for owned in tuple(self._runs.values()):
            for node in [node for node, until in owned.viewers.items() if until < now]:
                owned.unwatch(node)

    async def _write(self, due: list[OwnedRun]) -> None:
        while due:
            batch: list[tuple[OwnedRun, int]] = []
            arguments: list[str | bytes] = []
            size = 0
            while due and size < _CALL_BYTES and len(batch) < _CALL_RUNS:
                owned = due.pop()
                words, last = owned.packed()
                arguments += words
                batch.append((owned, last))
                size += sum(len(word) for word in words if isinstance(word, bytes))
            replies = await self._connection.run(WRITE, self._node, self.lifetime_ms, *arguments)
            for (owned, last), stored in zip(batch, replies[::2], strict=True):
                if owned.run.id in self._runs:  # else it was discarded meanwhile
                    self._take(owned, last, stored)

    def _take(self, owned: OwnedRun, last: int, stored: int) -> None:
        """`last` is what was sent, `stored` what Redis has."""
        run = owned.run
        if stored == last:
            owned.wrote(last)
            if owned.is_done and not owned.is_due:
                self._remove(run.id)
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
        for node in tuple(owned.viewers):
            owned.unwatch(node)
