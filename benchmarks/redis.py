"""A Redis of its own for measurements: started in a folder, on a free port and a unix socket, without persistence."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from benchmarks.accounting import cpu_s
from benchmarks.processes import kill

PREFIX: Final = "soak"
_START_S: Final = 30.0


@dataclass(slots=True)
class RedisServer:
    """`host` is the address on which it listens, beside its socket."""

    folder: Path
    host: str
    port: int
    client: Redis
    _process: asyncio.subprocess.Process | None = field(default=None)

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"unix://{self.folder / 'redis.sock'}?db=0"

    @property
    def cpu_s(self) -> float:
        return cpu_s((self._running.pid,))

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("Redis is not running")
        return self._process

    def key(self, name: str) -> str:
        """As the server calls it."""
        return f"{{{PREFIX}}}:{name}"

    async def start(self) -> None:
        """Returns when it answers."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is missing: scripts/dev/fetch redis")
        options = (f"--port {self.port} --bind {self.host} --protected-mode no --dir {self.folder}").split()
        with (self.folder / "redis.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(program, *options, "--unixsocket", str(self.folder / "redis.sock"), "--save", ""),
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(_START_S):
            while not await self._answers():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """End it at once. It has lost all data then."""
        await kill(self._running)
        self._process = None

    def send_signal(self, number: signal.Signals) -> None:
        self._running.send_signal(number)

    async def used_bytes(self) -> int:
        told: dict[str, Any] = await self.client.info("memory")
        return int(told["used_memory"])

    async def is_empty(self, pattern: str) -> bool:
        """Whether no key has such a name."""
        return not [key async for key in self.client.scan_iter(self.key(pattern).replace("{", r"\{"), count=1000)]

    async def _answers(self) -> bool:
        with suppress(RedisError, OSError):
            return bool(await self.client.ping())
        return False


@asynccontextmanager
async def running_redis(folder: Path, *, host: str = "127.0.0.1") -> AsyncIterator[RedisServer]:
    (place := folder / "redis").mkdir()
    client = Redis(unix_socket_path=str(place / "redis.sock"))
    server = RedisServer(place, host, free_port(host), client)
    try:
        await server.start()
        yield server
    finally:
        await client.aclose()
        with suppress(RuntimeError):
            await server.kill()


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
