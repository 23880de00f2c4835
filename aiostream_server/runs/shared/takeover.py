"""Takes over the runs of a process that has failed, so that their viewers in other processes get a well-formed end, or
the turn begun again where the team allows that.

Any process may claim them; Redis gives each to one. It continues behind all numbers that the failed process may have
used; a `Dropped` tells what was shown there and not written.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog
from msgspec import MsgspecError, msgpack, structs

from aiostream_server.config.model import LimitsConfig, RunsConfig
from aiostream_server.errors import RunsUnavailable, ServerError
from aiostream_server.events import Dropped, Entry, FinishReason, RunFinished, TokenCount, Usage
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.packing import entries_in, pack_entries
from aiostream_server.log.redis.reserved import ReservedLog
from aiostream_server.log.redis.scripts import CLAIM, DRIVEN, FIND, READ, RECALL, WRITE
from aiostream_server.log.redis.write_order import WriteOrder, write_arguments
from aiostream_server.runs.card import RunCard
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.run import EarlierAttempts
from aiostream_server.runs.shared.kept_request import unpack_request
from aiostream_server.runs.shared.owned_runs import OwnedRuns

_PAGE: Final = 64
_AGAIN_S: Final = 0.5
_AT_ONCE: Final = 8  # runs: each takes several round trips, and their viewers wait

_log = structlog.get_logger()
_decode_card: Final = msgpack.Decoder(RunCard).decode


class Takeover:
    """For one process, `node`. `give_back` is called with a run that does not need its slot after all."""

    def __init__(
        self,
        connection: RedisConnection,
        node: str,
        config: RunsConfig,
        limits: LimitsConfig,
        runs: OwnedRuns,
        give_back: Callable[[str], object],
    ) -> None:
        self.limits = limits
        self._connection: Final = connection
        self._node: Final = node
        self._config: Final = config
        self._runs: Final = runs
        self._give_back: Final = give_back
        self._registry: Registry | None = None
        self._working: Final[dict[str, asyncio.Task[None]]] = {}
        self._ending: Final[set[asyncio.Task[None]]] = set()
        self._claiming: Final = asyncio.Lock()
        self._reasons: Final[dict[str, FinishReason | None]] = {}
        """By run that is being taken over: why it is to end, if someone has asked for that."""

    def attach(self, registry: Registry) -> None:
        """Begin turns again in this registry; without one, all runs are ended."""
        self._registry = registry

    def begin(self, failed: str) -> None:
        """Claim the runs of this process, unless that is being done."""
        if failed not in self._working:
            working = asyncio.create_task(self._take_over(failed), name=f"takeover-{failed}")
            self._working[failed] = working
            working.add_done_callback(lambda _: self._working.pop(failed, None))

    def stop(self, run_id: str, reason: FinishReason) -> None:
        """End the run so, if it is being taken over."""
        if run_id in self._reasons:
            self._reasons[run_id] = reason

    def end_unknown(self) -> None:
        """End the runs that are this process's for Redis, and that it knows nothing of: the answer to its claim was
        lost, or Redis has gone back to older data."""
        ending = asyncio.create_task(self._end_unknown(), name="takeover-unknown")
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Whatever is not ended yet is claimed by another process, once this one's lease is over."""
        tasks = (*self._working.values(), *self._ending)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _take_over(self, failed: str) -> None:
        teams = () if self._registry is None else self._registry.restartable
        lease_ms = round(self._config.lease_s * 1000)
        arguments: list[str | float] = [failed, self._node, lease_ms, self._config.max_restarts, *teams]
        with suppress(RunsUnavailable):
            async with self._claiming:
                claimed = await self._connection.run(CLAIM, *arguments)
                runs = {run_id.decode(): (reason.decode(), attempt) for run_id, reason, attempt in claimed}
                if not runs:  # another process was faster; or it was sent twice, and the first answer was lost
                    runs = await self._unknown()
                self._note(runs)
            if runs:
                again = sum(attempt > 0 for _, attempt in runs.values())
                _log.warning("runs_taken_over", runs=len(runs), restarted=again, node=failed)
                await self._take_all(runs)

    async def _end_unknown(self) -> None:
        with suppress(RunsUnavailable):
            async with self._claiming:
                runs = await self._unknown()
                self._note(runs)
            if runs:
                _log.warning("unknown_runs_ended", runs=len(runs))
                await self._take_all(runs)

    async def _unknown(self) -> dict[str, tuple[str, int]]:
        found = [run_id.decode() for run_id in await self._connection.run(DRIVEN, self._node)]
        return {each: ("", 0) for each in found if each not in self._runs and each not in self._reasons}

    def _note(self, runs: Mapping[str, tuple[str, int]]) -> None:
        for run_id, (reason, _) in runs.items():
            self._runs.lose(run_id)  # the failed process had taken it over from this one, which did not notice yet
            self._reasons[run_id] = "cancelled" if reason == "cancelled" else "interrupted" if reason else None

    async def _take_all(self, runs: Mapping[str, tuple[str, int]]) -> None:
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def take(run_id: str, attempt: int) -> None:
            async with at_once:
                try:
                    await self._take_one(run_id, attempt)
                except Exception:  # a bug, which must not hold up the other runs
                    _log.exception("run_not_taken_over", run_id=run_id)

        async with asyncio.TaskGroup() as taking:
            for run_id, (_, attempt) in runs.items():
                taking.create_task(take(run_id, attempt))

    async def _take_one(self, run_id: str, attempt: int) -> None:
        try:
            while True:
                try:
                    if not (attempt and await self._begin_again(run_id, attempt)):
                        await self._end(run_id, self._reasons[run_id] or "interrupted")
                        if attempt:
                            self._give_back(run_id)
                    return
                except RunsUnavailable:
                    await asyncio.sleep(_AGAIN_S)  # the runs are claimed: this process ends them once Redis is back
        finally:
            del self._reasons[run_id]

    async def _begin_again(self, run_id: str, attempt: int) -> bool:
        """False where the run can only be ended. Raises `RunsUnavailable`."""
        registry, packed = self._registry, await self._connection.run(RECALL, run_id, self._node)
        found = await self._connection.run(FIND, run_id)
        if registry is None or packed is None or len(found) == 1 or not found or self._reasons[run_id] is not None:
            return False
        try:
            kept = unpack_request(packed)
        except (MsgspecError, ValueError):  # the second: of a schema
            _log.warning("request_not_understood", run_id=run_id)
            return False
        card = _decode_card(found[5])
        log = ReservedLog(run_id, max_bytes=registry.limits.max_log_bytes)
        log.continue_behind(int(found[2]), int(found[3] or 0))
        earlier = EarlierAttempts(attempt - 1, card.created_at, await self._usage(run_id))
        try:
            run = await registry.begin_again(run_id, kept.request, kept.team, log, earlier)
        except RunsUnavailable:
            raise
        except (ServerError, KeyError) as exc:
            _log.warning("turn_not_begun_again", run_id=run_id, reason=str(exc))
            return False
        self._runs.note_start(run_id, kept.start)
        if (reason := self._reasons[run_id]) is not None:
            run.end(reason)
        return True

    async def _end(self, run_id: str, reason: FinishReason) -> None:
        found = await self._connection.run(FIND, run_id)
        if len(found) == 1 or not found or found[0].decode() != self._node or found[4]:
            return
        last, reserved, card = int(found[2]), int(found[3] or 0), _decode_card(found[5])
        now = time.time()
        usage = await self._usage(run_id)
        finished = RunFinished(reason, usage, round(max(0.0, now - card.created_at), 6))
        entries = [Entry(max(last, reserved) + 1, now, finished)]
        if reserved > last:
            entries.insert(0, Entry(reserved, now, Dropped(first=last + 1)))
        packed = pack_entries(entries)
        card = structs.replace(card, finished=finished, last_seq=packed.last)
        retention_ms = max(1, round(self.limits.retention_s * 1000))
        order = WriteOrder(run_id, last, packed.last, -1, retention_ms, True, [packed], card=msgpack.encode(card))
        await self._connection.run(WRITE, self._node, retention_ms, "", *write_arguments([order]))

    async def _usage(self, run_id: str) -> TokenCount:
        """What its model calls have cost, as far as that was written."""
        total, after = TokenCount(), 0
        while True:
            found = await self._connection.run(READ, run_id, after, _PAGE)
            if not found or not found[4]:
                return total
            for payload in found[4]:
                for entry in entries_in(payload, after):
                    after = entry.seq
                    if isinstance(entry.event, Usage):
                        total += TokenCount(entry.event.prompt_tokens, entry.event.completion_tokens)
