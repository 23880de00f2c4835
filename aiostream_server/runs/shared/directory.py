"""Finds runs of this process, and in Redis those of all others."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from msgspec import json, msgpack

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import NotFound, RunGone, RunsUnavailable
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import DROP, FIND, LATEST, LIST, SEND
from aiostream_server.runs.card import RunView
from aiostream_server.runs.directory import Directory, MemoryDirectory
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.owned import conversation_digest, digest
from aiostream_server.runs.shared.owned_runs import OwnedRuns
from aiostream_server.runs.shared.remote_run import Mirrors, RemoteRun
from aiostream_server.runs.shared.writer import Writer

_WRITTEN_S: Final = 0.5
_NEW_S: Final = 0.05
_BEGUN_S: Final = 2.0
_POLL_S: Final = 0.02
BEHIND_S: Final = 1.0  # in which processes write what Redis has missed
_DROP_S: Final = 10.0
_DROP_PAUSE_S: Final = 0.25  # what is dropped meanwhile is dropped in one call
_DROPPED_AT_ONCE: Final = 100
_REJOIN_S: Final = 10.0
"""So long a run that began again waits for a viewer, where it ends without one."""

_decode_owner: Final = json.Decoder(Owner).decode
_log = structlog.get_logger()


class RedisDirectory:
    """The `Directory` of all processes. Calls `on_drop` with the id of each run of this one that it drops."""

    def __init__(
        self,
        connection: RedisConnection,
        runs: OwnedRuns,
        writer: Writer,
        mirrors: Mirrors,
        limits: LimitsConfig,
        on_drop: Callable[[str], object],
    ) -> None:
        self._on_drop: Final = on_drop
        self._connection: Final = connection
        self._runs: Final = runs
        self._writer: Final = writer
        self._mirrors: Final = mirrors
        self._here: Final = MemoryDirectory(limits, on_drop=self._dropped)
        self._to_drop: Final[dict[str, None]] = {}
        self._dropping: asyncio.Task[None] | None = None

    def limit(self, limits: LimitsConfig) -> None:
        self._runs.limits = limits
        self._here.limit(limits)

    async def put(self, run: Run) -> None:
        """A run that another process began is found as those of others are: its first events are only in Redis."""
        if run.earlier is not None:
            self._runs.add(run)
            asyncio.get_running_loop().call_later(_REJOIN_S, self._end_unviewed, run)
            return
        await self._here.put(run)
        self._runs.add(run)
        if run.on_disconnect == "continue":  # its client may look for it elsewhere at once
            await self._runs.written(run.id, _WRITTEN_S)

    def finish(self, run: Run) -> None:
        if self._here.has(run.id):
            self._here.finish(run)
        if run.id in self._runs:  # else another process has taken it over
            self._runs.schedule.hurry(run.id)

    def drop(self) -> None:
        self._here.drop()

    def disown(self, run_id: str) -> None:
        """Another process has taken the run over: what Redis says of it counts."""
        self._here.disown(run_id)

    async def find(self, run_id: str, owner: Owner | None) -> RunView:
        with suppress(NotFound):
            return await self._here.find(run_id, owner)
        found = await self._found(run_id)
        of = _decode_owner(found[0] if len(found) == 1 else found[1]) if found else None
        if of is None or owner not in (None, of):
            raise NotFound(f"there is no run {run_id[:80]!r}")
        if len(found) == 1:
            raise RunGone(f"the run {run_id} has ended, and its events are kept no longer")
        node, _, last, _, finished, card = found
        return self._remote(of, node, last, finished, card)

    async def _found(self, run_id: str) -> list[Any]:
        """As the script `FIND`. Raises `RunsUnavailable` where Redis has just lost data or come back: the run may be on
        its way."""
        found: list[Any] = await self._connection.run(FIND, run_id)
        if not found:  # a run that has just begun elsewhere is written in a moment
            await asyncio.sleep(_NEW_S)
            found = await self._connection.run(FIND, run_id)
        deadline = asyncio.get_running_loop().time() + BEHIND_S
        while found == [None] and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_NEW_S)
            found = await self._connection.run(FIND, run_id)
        if found == [None]:
            raise RunsUnavailable(
                "the store of shared runs has just come back, and is being filled; ask again in a moment"
            )
        return found

    async def list(self, owner: Owner, limit: int) -> Sequence[RunView]:
        here: dict[str, RunView] = {run.id: run for run in await self._here.list(owner, limit)}
        elsewhere: dict[str, RunView] = {}
        for run_id, node, last, finished, card in await self._connection.run(LIST, digest(*owner), limit):
            if run_id.decode() not in here and card:
                elsewhere[run_id.decode()] = self._remote(owner, node, last, finished, card)
        runs = (*here.values(), *elsewhere.values())
        return sorted(runs, key=lambda run: run.card().created_at, reverse=True)[:limit]

    async def delete(self, run_id: str, owner: Owner) -> None:
        run = await self.find(run_id, owner)
        if isinstance(run, RemoteRun):
            if run.card().finished is None:
                return
            await self._connection.run(SEND, run.node, msgpack.encode(("forget", run_id)))
        elif not self.forget(run_id):
            return
        await self._writer.pause()  # what it writes now may be of this run
        await self._connection.run(DROP, "deleted", run_id)

    def forget(self, run_id: str) -> bool:
        """A finished run was deleted, perhaps by another process. False where there is none."""
        is_here = self._here.forget(run_id)
        if is_here:
            self._runs.discard(run_id)
        return is_here

    async def latest(self, owner: Owner, conversation: str) -> RunView | None:
        here, elsewhere = await self._here.latest(owner, conversation), None
        with suppress(NotFound, RunGone, RunsUnavailable):
            run_id = await self._connection.run(LATEST, conversation_digest(owner, conversation))
            elsewhere = None if run_id is None else await self.find(run_id.decode(), owner)
        found = [run for run in (here, elsewhere) if run is not None]
        return max(found, key=lambda run: run.card().created_at, default=None)

    def _end_unviewed(self, run: Run) -> None:
        if run.on_disconnect == "cancel" and not run.log.viewers:
            run.end("cancelled")

    def _remote(self, owner: Owner, node: bytes, last: bytes, finished: Any, card: bytes) -> RemoteRun:
        return RemoteRun(self._mirrors, owner, node.decode(), card, last=int(last), finished=bool(finished))

    def _dropped(self, run_id: str) -> None:
        self._on_drop(run_id)
        self._runs.forget(run_id)
        self._to_drop[run_id] = None
        if self._dropping is None:
            self._dropping = asyncio.create_task(self._drop_all(), name="drop")

    async def _drop_all(self) -> None:
        """Not at once: they expire by themselves, and each call takes Redis time."""
        try:
            while self._to_drop:
                await asyncio.sleep(_DROP_PAUSE_S)  # collects what is dropped meanwhile
                dropped = tuple(self._to_drop)[:_DROPPED_AT_ONCE]
                for run_id in dropped:
                    del self._to_drop[run_id]
                    await self._runs.left(run_id, _DROP_S)  # else its end might be written behind this
                with suppress(RunsUnavailable):
                    await self._connection.run(DROP, "", *dropped)
        finally:
            self._dropping = None


async def find_begun(directory: Directory, run_id: str, owner: Owner) -> RunView | None:
    """A run that began a moment ago: Redis may not have it yet. None for one that has ended, or does not come."""
    deadline = asyncio.get_running_loop().time() + _BEGUN_S
    while True:
        try:
            return await directory.find(run_id, owner)
        except RunGone:
            return None
        except NotFound:
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(_POLL_S)
