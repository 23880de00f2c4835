"""Servers that share their runs in a Redis of their own, and the provider that all of them ask."""

import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import Server, server
from benchmarks.redis import PREFIX, RedisServer, running_redis
from benchmarks.soak.client import provider

LEASE_S: Final = 2.0  # the default
_RETENTION_S: Final = 60.0

Settings = dict[str, dict[str, object]]


@dataclass(slots=True)
class Cluster:
    """`nodes` are those that were started, the latest last."""

    redis: RedisServer
    provider_port: int
    folder: Path
    settings: Settings
    nodes: list[Server] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _folders: dict[int, Path] = field(default_factory=dict)

    async def start(self, *, port: int = 0) -> Server:
        """Returns when it is ready. It ends with the cluster, unless it has ended before."""
        (folder := self.folder / f"node-{len(self.nodes)}").mkdir()
        settings = {**self.settings, "server": {**self.settings.get("server", {}), "port": port}}
        opened = server(self.provider_port, folder, **shared_in(self.redis, settings))
        node = await self._stack.enter_async_context(opened)
        self.nodes.append(node)
        self._folders[node.process.pid] = folder
        return node

    def logged(self, node: Server, event: str) -> Sequence[dict[str, Any]]:
        """The lines of this event in the node's log."""
        log = (self._folders[node.process.pid] / "server.log").read_text("utf-8")
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    async def close(self) -> None:
        await self._stack.aclose()


def shared_in(redis: RedisServer, settings: Settings) -> Settings:
    """Sections of a server's configuration, with those of a server that shares its runs in this Redis."""
    runs = {"store": "redis", "redis_url": redis.url, "prefix": PREFIX, "lease_s": LEASE_S}
    limits = {"retention_s": _RETENTION_S, **settings.get("limits", {})}
    return {**settings, "runs": {**runs, **settings.get("runs", {})}, "limits": limits}


@asynccontextmanager
async def running_cluster(folder: Path, nodes: int, **settings: dict[str, object]) -> AsyncIterator[Cluster]:
    """`settings` are sections of each server's configuration."""
    async with running_redis(folder) as redis, provider() as provider_port:
        cluster = Cluster(redis, provider_port, folder, settings)
        try:
            for _ in range(nodes):
                await cluster.start()
            yield cluster
        finally:
            await cluster.close()


def send(node: Server, number: signal.Signals) -> None:
    os.kill(node.process.pid, number)


async def stop(node: Server) -> int:
    """SIGTERM; returns the status of the process when it has ended."""
    node.process.terminate()
    return await node.process.wait()
