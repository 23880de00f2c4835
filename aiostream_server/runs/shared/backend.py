"""Opens what processes share of their runs."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog
from msgspec import msgpack

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig, RunsConfig
from aiostream_server.events import FinishReason
from aiostream_server.log.redis.channels import Channels, open_channels
from aiostream_server.log.redis.connection import RedisConnection, open_redis
from aiostream_server.log.redis.lease import Lease, Renewal
from aiostream_server.log.redis.reserved import ReservedLog
from aiostream_server.runs.registry import RunBackend
from aiostream_server.runs.shared.admission import RedisAdmission
from aiostream_server.runs.shared.directory import RedisDirectory
from aiostream_server.runs.shared.owned import OwnedRun
from aiostream_server.runs.shared.owned_runs import OwnedRuns
from aiostream_server.runs.shared.remote_run import Mirrors
from aiostream_server.runs.shared.starts import RedisStarts
from aiostream_server.runs.shared.takeover import Takeover
from aiostream_server.runs.shared.turns import RedisTurns
from aiostream_server.runs.shared.writer import Writer

_SETTLE_S: Final = 1.0
_CONFIRM_S: Final = 2.0

_log = structlog.get_logger()


class SharedRuns:
    """One process's part in it. `backend` is what its registry is given; `node` names the process in Redis."""

    def __init__(
        self,
        connection: RedisConnection,
        channels: Channels,
        config: RunsConfig,
        limits: LimitsConfig,
        turns: ConcurrentTurns,
    ) -> None:
        node = self.node = secrets.token_hex(8)
        self.connection: Final = connection
        self._serves_alone: Final = config.on_outage == "serve"
        self.owned: Final = OwnedRuns(connection, limits, self._taken_over)
        self.writer: Final = Writer(connection, node, self.owned, self._end_written)
        self.mirrors: Final = Mirrors(connection, channels, node)
        self.admission: Final = RedisAdmission(connection, node, limits, config.on_outage)
        self.takeover: Final = Takeover(connection, node, config, limits, self.owned, self.admission.leave)
        self.directory: Final = RedisDirectory(connection, self.owned, self.writer, self.mirrors, limits, self._dropped)
        self.starts: Final = RedisStarts(connection, node, self.owned, self.directory, config.on_outage)
        self.turns: Final = RedisTurns(connection, self.owned, self.directory, turns, config.on_outage)
        self.backend: Final = RunBackend(
            directory=self.directory,
            admission=self.admission,
            turns=self.turns,
            starts=self.starts,
            new_log=ReservedLog,
            attach=self.takeover.attach,
        )

    @property
    def is_available(self) -> bool:
        """Whether Redis answers."""
        return self.connection.is_available

    @property
    def is_ready(self) -> bool:
        """Whether new questions should come here: Redis answers, or it has once and they are served without it, too."""
        return self.is_available or (self._serves_alone and self.connection.address is not None)

    @property
    def outages(self) -> int:
        """How often it stopped answering."""
        return self.connection.outages

    def check(self) -> None:
        """Redis may have lost what this process has written, or given it to another one."""
        self.owned.check_all()
        self.admission.restore()
        self.takeover.end_unknown()

    def renewed(self, renewal: Renewal) -> None:
        """The lease was renewed."""
        if not renewal.was_known:
            self.check()
        for run_id, reason in renewal.stops.items():
            self._stop(run_id, reason)
        for failed in renewal.failed:
            self.takeover.begin(failed)

    def received(self, message: bytes) -> None:
        """Another process, or Redis, has sent a message to this one."""
        word, *rest = msgpack.decode(message, type=list[str])
        match word, rest:
            case "slot", [run_id]:
                self.admission.granted(run_id)
            case "refused", [run_id]:
                self.admission.refused(run_id)
            case "stop", [run_id, reason]:
                self._stop(run_id, reason)
            case "forget", [run_id]:
                self.directory.forget(run_id)
            case "watch", [run_id, node]:
                self.owned.watch(run_id, node)
            case "unwatch", [run_id, node]:
                self.owned.unwatch(run_id, node)
            case _:
                _log.debug("message_of_a_newer_version", word=word)

    async def settle(self) -> None:
        """Write and give back all that is left. No run may be live."""
        await self.writer.settle(_SETTLE_S)
        await self.admission.end(_SETTLE_S)
        await self.mirrors.close()
        await self.takeover.close()

    def _stop(self, run_id: str, word: str) -> None:
        reason: FinishReason = "cancelled" if word == "cancelled" else "interrupted"
        self.takeover.stop(run_id, reason)
        self.owned.stop(run_id, reason)

    def _end_written(self, run_id: str) -> None:
        self.admission.calls.end_written(run_id)
        self.turns.end_written(run_id)

    def _taken_over(self, owned: OwnedRun) -> None:
        self.directory.disown(owned.run.id)
        self.starts.forget(owned.run.id)
        self.mirrors.move_viewers(owned)

    def _dropped(self, run_id: str) -> None:
        self.starts.forget(run_id)


@asynccontextmanager
async def open_shared_runs(
    config: RunsConfig, limits: LimitsConfig, turns: ConcurrentTurns
) -> AsyncIterator[tuple[SharedRuns, RunBackend]]:
    """Raises `ConfigError` where Redis refuses what the server needs. Inside of the block the process has a lease,
    unless Redis is away."""
    async with open_redis(config) as connection, open_channels(connection) as channels:
        shared = SharedRuns(connection, channels, config, limits, turns)
        connection.on_recovery.append(shared.check)
        with suppress(TimeoutError):  # while Redis is away nothing can be confirmed
            async with asyncio.timeout(_CONFIRM_S if connection.is_available else 0):
                await channels.listen(f"node:{shared.node}", shared.received)
        lease = Lease(connection, shared.node, config.lease_s, shared.renewed)
        await lease.start()
        async with _running(shared.writer.write_for_ever(), "redis-writer"):
            try:
                yield shared, shared.backend
            finally:
                await shared.settle()
        await lease.retire()


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
