"""Opens what processes share of their runs."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from msgspec import msgpack

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig, RunsConfig
from aiostream_server.log.redis.channels import open_channels
from aiostream_server.log.redis.connection import RedisConnection, open_redis
from aiostream_server.log.redis.lease import Lease, Renewal
from aiostream_server.log.redis.reserved import ReservedLog
from aiostream_server.runs.admission import MemoryAdmission
from aiostream_server.runs.registry import RunBackend
from aiostream_server.runs.shared.directory import RedisDirectory
from aiostream_server.runs.shared.remote_run import Mirrors
from aiostream_server.runs.shared.takeover import Takeover
from aiostream_server.runs.shared.writer import Writer
from aiostream_server.runs.starts import MemoryStarts
from aiostream_server.runs.turns import MemoryTurns

_SETTLE_S: Final = 1.0

_log = structlog.get_logger()


class SharedRuns:
    """One process's part in it. `backend` is what its registry is given; `node` names the process in Redis."""

    def __init__(self, connection: RedisConnection, node: str, limits: LimitsConfig, turns: ConcurrentTurns) -> None:
        self.node: Final = node
        self.connection: Final = connection
        self.writer: Final = Writer(connection, node, limits, self._taken_over)
        self.takeover: Final = Takeover(connection, node, limits)
        self._limits: Final = limits
        self._turns: Final = turns
        self._directory: RedisDirectory | None = None

    @property
    def is_available(self) -> bool:
        """Whether Redis answers."""
        return self.connection.is_available

    @property
    def outages(self) -> int:
        """How often it stopped answering."""
        return self.connection.outages

    def backend(self, mirrors: Mirrors) -> RunBackend:
        self._directory = RedisDirectory(self.connection, self.writer, mirrors, self._limits)
        return RunBackend(
            directory=self._directory,
            admission=MemoryAdmission(self._limits),
            turns=MemoryTurns(self._turns),
            starts=MemoryStarts(),
            new_log=ReservedLog,
        )

    def renewed(self, renewal: Renewal) -> None:
        """The lease was renewed."""
        if not renewal.was_known:
            self.writer.check_all()
        for run_id, reason in renewal.stops.items():
            self.writer.stop(run_id, reason)
        for failed in renewal.failed:
            self.takeover.begin(failed)

    def received(self, message: bytes) -> None:
        """Another process has sent a message to this one."""
        word, *rest = msgpack.decode(message, type=list[str])
        match word, rest:
            case "stop", [run_id, reason]:
                self.writer.stop(run_id, reason)
            case "forget", [run_id]:
                if self._directory is not None:
                    self._directory.forget(run_id)
            case "watch", [run_id, node]:
                self.writer.watch(run_id, node)
            case "unwatch", [run_id, node]:
                self.writer.unwatch(run_id, node)
            case _:
                _log.debug("message_of_a_newer_version", word=word)

    def _taken_over(self, run_id: str) -> None:
        if self._directory is not None:
            self._directory.disown(run_id)


@asynccontextmanager
async def open_shared_runs(
    config: RunsConfig, limits: LimitsConfig, turns: ConcurrentTurns
) -> AsyncIterator[tuple[SharedRuns, RunBackend]]:
    """Raises `ConfigError` where Redis does not answer. Inside of the block the process has a lease."""
    async with open_redis(config) as connection, open_channels(connection) as channels:
        shared = SharedRuns(connection, secrets.token_hex(8), limits, turns)
        mirrors = Mirrors(connection, channels, shared.node)
        backend = shared.backend(mirrors)
        connection.on_recovery.append(shared.writer.check_all)
        await channels.listen(f"node:{shared.node}", shared.received)
        lease = Lease(connection, shared.node, config.lease_s, shared.renewed)
        await lease.start()
        async with _running(shared.writer.write_for_ever(), "redis-writer"):
            try:
                yield shared, backend
            finally:
                await shared.writer.settle(_SETTLE_S)
                await mirrors.close()
                await shared.takeover.close()
        await lease.retire()


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
