"""Idempotency keys of all processes: each starts one run, wherever it is sent to."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from aiostream_server.config.model import OnOutage
from aiostream_server.errors import Conflict, RunsUnavailable
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import FORGET_START, START, STARTED
from aiostream_server.runs.card import RunView
from aiostream_server.runs.directory import Directory
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.directory import BEHIND_S, find_begun
from aiostream_server.runs.shared.owned import digest
from aiostream_server.runs.shared.owned_runs import OwnedRuns
from aiostream_server.runs.starts import Idempotency, MemoryStarts, StartedRun

_POLL_S: Final = 0.02


class RedisStarts:
    """The `Starts` of all processes. Callers of this one wait for each other here; one of them asks Redis."""

    def __init__(
        self, connection: RedisConnection, node: str, runs: OwnedRuns, directory: Directory, on_outage: OnOutage
    ) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._runs: Final = runs
        self._directory: Final = directory
        self._serves_alone: Final = on_outage == "serve"
        self._here: Final = MemoryStarts()

    def is_known(self, owner: Owner, key: str) -> bool:
        return True  # perhaps to another process

    def forget(self, run_id: str) -> None:
        self._here.forget(run_id)

    async def find_or_start(
        self, owner: Owner, idempotency: Idempotency, start: Callable[[], Coroutine[Any, Any, RunView]]
    ) -> StartedRun:
        found: RunView | None = None

        async def find_elsewhere_or_start() -> RunView:
            nonlocal found
            try:
                found = await self._claim(owner, idempotency)
            except RunsUnavailable:
                if not self._serves_alone:
                    raise
                run = await start()
                self._runs.note_start(run.id, digest(*owner, idempotency.key), idempotency.fingerprint)
                return run
            return found or await self._start(owner, idempotency, start)

        started = await self._here.find_or_start(owner, idempotency, find_elsewhere_or_start)
        if found is not None:
            self._here.forget(found.id)  # it may expire there
            return StartedRun(started.run, is_replay=True)
        if isinstance(started.run, Run) and started.run.elsewhere is not None:
            self._here.forget(started.run.id)  # another process has taken it over meanwhile
        return started

    async def _claim(self, owner: Owner, idempotency: Idempotency) -> RunView | None:
        """The run that another process has started; None where this one is to start it."""
        name, loop = digest(*owner, idempotency.key), asyncio.get_running_loop()
        deadline = loop.time() + BEHIND_S
        while True:
            has_waited = int(loop.time() > deadline)
            about = (name, idempotency.fingerprint, self._node, self._runs.lifetime_ms, has_waited)
            word, *rest = await self._connection.run(START, *about)
            if word == b"claimed":
                return None
            if word == b"conflict":
                raise Conflict("this Idempotency-Key was used for another request")
            if word == b"run":
                run_id = rest[0].decode()
                if (run := await find_begun(self._directory, run_id, owner)) is not None:
                    return run
                await self._connection.run(FORGET_START, name, run_id)
            else:
                await asyncio.sleep(_POLL_S)

    async def _start(
        self, owner: Owner, idempotency: Idempotency, start: Callable[[], Coroutine[Any, Any, RunView]]
    ) -> RunView:
        name = digest(*owner, idempotency.key)
        try:
            run = await start()
        except BaseException:
            with suppress(RunsUnavailable):  # another caller of this process, or a failed one's successor, claims it
                await asyncio.shield(self._connection.run(STARTED, name, self._node, ""))
            raise
        self._runs.note_start(run.id, name, idempotency.fingerprint)
        with suppress(RunsUnavailable):
            await self._connection.run(STARTED, name, self._node, run.id)
        return run
