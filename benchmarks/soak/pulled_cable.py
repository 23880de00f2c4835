"""A client vanishes without closing its connection: the server notices within half a minute.

Two network namespaces are connected by a virtual cable; needs root and iproute2. The server listens on one side, the
client is on the other, and then the cable is cut.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

from benchmarks.figures import Figure
from benchmarks.processes import new_key, output_of, server
from benchmarks.soak.client import chat, fetch, provider
from benchmarks.soak.provider import Plan

_NAMESPACE: Final = "aiostream-soak"
_HERE: Final = "10.213.77.1"
_THERE: Final = "10.213.77.2"
_MAX_S: Final = 30.0
_DEADLINE_S: Final = 60.0
_SPEAKING: Final = Plan(tokens=1_000_000, pause_s=0.5)
_SILENT: Final = Plan(tokens=1, gate="never", gate_of=2**31)
_PHASES: Final[Mapping[str, tuple[Plan, bool]]] = {
    "between tokens": (_SPEAKING, True),
    "silent, only heartbeats": (_SILENT, True),
    "silent, not streamed": (_SILENT, False),
}


async def measure(folder: Path) -> list[Figure]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        sys.stderr.write("SKIPPED: --vanish needs root and iproute2 (Debian: apt-get install iproute2)\n")
        return [Figure("vanished clients", "SKIPPED: no root, or no iproute2")]
    return [await _vanish(folder, name, plan, stream) for name, (plan, stream) in _PHASES.items()]


async def _vanish(folder: Path, name: str, plan: Plan, stream: bool) -> Figure:
    """How long the run of such a client continues."""
    keys = folder / "keys.json"
    keys.unlink(missing_ok=True)
    bearer = await new_key(keys)
    settings: dict[str, dict[str, object]] = {"server": {"host": _HERE}, "auth": {"keys_file": str(keys)}}
    async with _cable(), provider() as provider_port, server(provider_port, folder, **settings) as served:
        asked = chat(plan, bearer, stream=stream)
        async with _client_there(served.port, asked):
            await _until_runs(served.port, 1)
            await asyncio.sleep(2.0)
            pulled_at = time.monotonic()
            await _ip("-n", _NAMESPACE, "link", "set", "there", "down")
            await _until_runs(served.port, 0)
            took_s = time.monotonic() - pulled_at
    return Figure(f"noticed, {name}", f"{took_s:.1f} s", f"<= {_MAX_S:.0f} s", took_s <= _MAX_S)


@asynccontextmanager
async def _cable() -> AsyncIterator[None]:
    await _ip("netns", "add", _NAMESPACE)
    try:
        await _ip("link", "add", "soak-here", "type", "veth", "peer", "name", "there", "netns", _NAMESPACE)
        await _ip("addr", "add", f"{_HERE}/30", "dev", "soak-here")
        await _ip("link", "set", "soak-here", "up")
        await _ip("-n", _NAMESPACE, "addr", "add", f"{_THERE}/30", "dev", "there")
        await _ip("-n", _NAMESPACE, "link", "set", "there", "up")
        yield
    finally:
        await _ip("link", "delete", "soak-here")
        await _ip("netns", "delete", _NAMESPACE)


@asynccontextmanager
async def _client_there(port: int, asked: bytes) -> AsyncIterator[None]:
    """A client on the other side of the cable."""
    reads = "import socket, sys; c = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
    reads += "c.sendall(sys.stdin.buffer.read())\nwhile c.recv(65536): pass"
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", _NAMESPACE, sys.executable, "-c", reads, _HERE, str(port)),
        stdin=asyncio.subprocess.PIPE,
    )
    try:
        await _hand_over(process, asked)
        yield
    finally:
        process.kill()
        await process.wait()


async def _hand_over(process: asyncio.subprocess.Process, asked: bytes) -> None:
    stdin = cast("asyncio.StreamWriter", process.stdin)
    stdin.write(asked)
    stdin.close()
    await stdin.wait_closed()


async def _until_runs(port: int, runs: int) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while await _live_runs(port) != runs:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def _live_runs(port: int) -> int:
    vitals = await fetch(port, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", host=_HERE)
    return int(vitals["live_runs"])


async def _ip(*arguments: str) -> None:
    await output_of("ip", *arguments)
