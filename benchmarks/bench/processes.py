"""The processes that take part. Each ends with its block, by its own id."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, cast

from benchmarks.bench.accounting import with_children
from benchmarks.bench.load import Load, Seen
from benchmarks.bench.script import Script
from benchmarks.bench.talk import NO_TALK, Talk
from benchmarks.soak.processes import ROOT, server

LoopName = Literal["asyncio", "uvloop"]
Kind = Literal["bytes", "json", "msgspec", "server", "usual"]

_READY_S: Final = 30.0
_GRACE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Contender:
    """One that is measured, running."""

    kind: Kind
    loop: LoopName
    port: int
    pid: int
    ready_s: float  # from its start

    async def put(
        self,
        script: Script,
        *,
        connections: int,
        answers: int,
        ramp_s: float = 0.0,
        deadline_s: float = 120.0,
        talk: Talk = NO_TALK,
    ) -> Seen:
        """Load it so, from a process of its own; a figure is only given where every token came once."""
        load = Load(self.port, with_children(self.pid), script, connections, answers, ramp_s, deadline_s, talk)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.bench.load", json.dumps(asdict(load))),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            async with asyncio.timeout(deadline_s + _GRACE_S):
                told, _ = await process.communicate()
        finally:
            await _kill(process)
        if process.returncode:
            raise RuntimeError(f"{self.kind} on {self.loop} failed under {script} x {answers}")
        return Seen.read(told.decode())


@asynccontextmanager
async def provider() -> AsyncIterator[int]:
    """Its port."""
    async with _python("benchmarks.bench.provider") as (_, port):
        yield port


@asynccontextmanager
async def contender(
    kind: Kind, loop: LoopName, provider_port: int, folder: Path, *, workers: int = 1
) -> AsyncIterator[Contender]:
    """`workers` are the server's; the figures are those of all its processes together."""
    started = asyncio.get_running_loop().time()
    url = f"http://127.0.0.1:{provider_port}/v1"
    async with AsyncExitStack() as stack:
        if kind == "server":
            pid, port = await stack.enter_async_context(_as_users_run_it(loop, provider_port, folder, workers))
        elif kind == "usual":
            pid, port = await stack.enter_async_context(_python("benchmarks.bench.usual", loop, url))
        else:
            pid, port = await stack.enter_async_context(_python("benchmarks.bench.relay", kind, loop, url))
        yield Contender(kind, loop, port, pid, asyncio.get_running_loop().time() - started)


@asynccontextmanager
async def _as_users_run_it(
    loop: LoopName, provider_port: int, folder: Path, workers: int
) -> AsyncIterator[tuple[int, int]]:
    """`aiostream-server serve` with the defaults, but for the loop and for more runs at once than 200."""
    settings: dict[str, object] = {"loop": loop, "log_format": "auto", "workers": workers}
    limits: dict[str, object] = {"max_runs": 2_000, "retention_s": 900.0}
    async with server(provider_port, folder, server=settings, limits=limits) as served:
        try:
            yield served.process.pid, served.port
        finally:
            await _end(served.process)


@asynccontextmanager
async def _python(module: str, *arguments: str) -> AsyncIterator[tuple[int, int]]:
    """A module of ours that prints its port; its process id, and that port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(_READY_S):
            line = await cast("asyncio.StreamReader", process.stdout).readline()
        if not line:
            raise RuntimeError(f"{module} ended at once")
        yield process.pid, int(line)
    finally:
        await _kill(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """So that its workers end before it does."""
    with suppress(ProcessLookupError, TimeoutError):
        process.terminate()
        async with asyncio.timeout(_GRACE_S):
            await process.wait()


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
