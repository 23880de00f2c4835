"""One question at a time in each conversation, over all processes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiostream_server.config.model import ConcurrentTurns, OnOutage
from aiostream_server.errors import RunsUnavailable
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection, Reply
from aiostream_server.log.redis.scripts import TURN, TURN_ENTER, TURN_LEAVE, Script
from aiostream_server.runs.card import RunView
from aiostream_server.runs.directory import Directory
from aiostream_server.runs.request import TurnKey
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.directory import find_begun
from aiostream_server.runs.shared.owned import turn_digest
from aiostream_server.runs.shared.owned_runs import OwnedRuns
from aiostream_server.runs.shared.write_schedule import END_WRITTEN_S
from aiostream_server.runs.turns import MAX_QUEUED, MemoryTurns, busy_conversation


class RedisTurns:
    """The `Turns` of all processes. While Redis is away, those of this one, unless questions are refused then.

    A run leaves with the write of its end (`write.lua`), a moment later: here only what no such write has told is told.
    """

    def __init__(
        self,
        connection: RedisConnection,
        runs: OwnedRuns,
        directory: Directory,
        policy: ConcurrentTurns,
        on_outage: OnOutage,
    ) -> None:
        self._connection: Final = connection
        self._runs: Final = runs
        self._directory: Final = directory
        self._policy = policy
        self._serves_alone: Final = on_outage == "serve"
        self._here: Final = MemoryTurns(policy)
        self._left: Final[dict[str, TurnKey]] = {}
        """By run: what Redis may not know yet."""
        self._leaving: Final[set[asyncio.Task[None]]] = set()

    def set_policy(self, policy: ConcurrentTurns) -> None:
        self._policy = policy
        self._here.set_policy(policy)

    def may_free_a_slot(self, owner: Owner) -> bool:
        return self._policy == "interrupt"  # perhaps that of a run elsewhere

    async def prepare(self, key: TurnKey) -> None:
        await self._here.prepare(key)
        if self._policy == "queue":
            return  # `enter` looks at the others, without a round trip more
        try:
            runs = [run.decode() for run in await self._call(TURN, key)]
        except RunsUnavailable:
            if not self._serves_alone:
                raise
            return
        if self._policy == "reject" and runs:
            raise busy_conversation(self._policy)
        for run in [await find_begun(self._directory, run_id, key.owner) for run_id in runs]:
            if run is not None and self._policy == "interrupt":
                await run.stop("cancelled")
                await run.wait()

    async def enter(self, key: TurnKey, run: RunView) -> Sequence[RunView]:
        most = {"reject": 0, "queue": MAX_QUEUED, "interrupt": -1}[self._policy]
        try:
            entered, before = await self._call(TURN_ENTER, key, run.id, most, self._runs.lifetime_ms)
        except RunsUnavailable:
            if not self._serves_alone:
                raise
            return await self._here.enter(key, run)
        if not entered:
            raise busy_conversation(self._policy)
        here = {each.id: each for each in self._here.add(key, run)}
        try:
            found = [
                here.get(run_id.decode()) or await find_begun(self._directory, run_id.decode(), key.owner)
                for run_id in before
            ]
            earlier = [each for each in found if each is not None]
            if self._policy == "interrupt":
                for each in earlier:  # they entered while this one waited for its slot
                    await each.stop("cancelled")
        except BaseException:
            self.leave(key, run)
            raise
        return earlier

    def leave(self, key: TurnKey, run: RunView) -> None:
        self._here.leave(key, run)
        if isinstance(run, Run) and run.elsewhere is not None:
            return  # the turn is the other process's, which may have begun it again
        self._left[run.id] = key
        leaving = asyncio.create_task(self._leave(key, run.id))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def end_written(self, run_id: str) -> None:
        """Redis knows that the run has left its turn, with its end."""
        self._left.pop(run_id, None)

    async def _leave(self, key: TurnKey, run_id: str) -> None:
        try:
            await asyncio.sleep(END_WRITTEN_S)  # what `end_written` has taken out meanwhile costs no call
            if run_id in self._left:
                with suppress(RunsUnavailable):  # the end of the run is written later, and does the same
                    await self._connection.run(TURN_LEAVE, turn_digest(key), run_id)
        finally:
            self._left.pop(run_id, None)

    async def _call(self, script: Script, key: TurnKey, *arguments: str | float) -> Reply:
        """Tells of runs that have left, too: the next question comes at once."""
        left = [run_id for run_id, of in self._left.items() if of == key]
        return await self._connection.run(script, turn_digest(key), *arguments, *left)
