"""The contenders: this server, the relays and the usual pattern, each in a process that ends with its block."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks.accounting import with_children
from benchmarks.bench.load import Load, LoadResult
from benchmarks.bench.script import NO_HISTORY, History, Script
from benchmarks.processes import ROOT, Process, kill, python_module, server
from benchmarks.redis import RedisServer, running_redis

LoopName = Literal["asyncio", "uvloop"]
Kind = Literal["bytes", "json", "msgspec", "server", "shared", "usual"]
"""`shared` is this server with its runs in a Redis of its own."""

_GRACE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A running server that is measured."""

    kind: Kind
    loop: LoopName
    port: int
    pid: int
    ready_s: float  # from its start
    redis: RedisServer | None = None

    async def put(
        self,
        script: Script,
        *,
        connections: int,
        answers: int,
        ramp_s: float = 0.0,
        deadline_s: float = 120.0,
        history: History = NO_HISTORY,
    ) -> LoadResult:
        """Load it from another process. Raise `RuntimeError` unless every token arrived exactly once."""
        load = Load(self.port, with_children(self.pid), script, connections, answers, ramp_s, deadline_s, history)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.bench.load", json.dumps(asdict(load))),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            async with asyncio.timeout(deadline_s + _GRACE_S):
                told, _ = await process.communicate()
        finally:
            await kill(process)
        if process.returncode:
            raise RuntimeError(f"{self.kind} on {self.loop} failed under {script} x {answers}")
        return LoadResult.read(told.decode())


@asynccontextmanager
async def provider() -> AsyncIterator[int]:
    """The provider's port."""
    async with python_module("benchmarks.bench.provider") as (_, port):
        yield port


@asynccontextmanager
async def contender(
    kind: Kind, loop: LoopName, provider_port: int, folder: Path, *, workers: int = 1
) -> AsyncIterator[Contender]:
    """Start a contender. With several `workers`, its figures are the sums of all its processes."""
    started = asyncio.get_running_loop().time()
    url = f"http://127.0.0.1:{provider_port}/v1"
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(running_redis(folder)) if kind == "shared" else None
        if kind in ("server", "shared"):
            served = _as_users_run_it(loop, provider_port, folder, workers, redis)
            pid, port = await stack.enter_async_context(served)
        elif kind == "usual":
            pid, port = await stack.enter_async_context(python_module("benchmarks.bench.usual", loop, url))
        else:
            pid, port = await stack.enter_async_context(python_module("benchmarks.bench.relay", kind, loop, url))
        yield Contender(kind, loop, port, pid, asyncio.get_running_loop().time() - started, redis)


@asynccontextmanager
async def _as_users_run_it(
    loop: LoopName, provider_port: int, folder: Path, workers: int, redis: RedisServer | None
) -> AsyncIterator[tuple[int, int]]:
    """`aiostream-server serve` with its defaults, except for the loop and for more than 200 concurrent runs."""
    runs: dict[str, object] = {} if redis is None else {"store": "redis", "redis_url": redis.socket_url}
    settings: dict[str, object] = {"loop": loop, "log_format": "auto", "workers": workers}
    limits: dict[str, object] = {"max_runs": 2_000, "retention_s": 900.0}
    async with server(provider_port, folder, server=settings, limits=limits, runs=runs) as served:
        try:
            yield served.process.pid, served.port
        finally:
            await _end(served.process)


async def _end(process: Process) -> None:
    """Terminate, so that its workers end before it does."""
    with suppress(ProcessLookupError, TimeoutError):
        process.terminate()
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
