"""Clients that never read do not delay those that do, and cost little memory."""

import asyncio
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.processes import Server, server
from benchmarks.soak.client import chat, fetch, inspect, open_never_reading, provider, request
from benchmarks.soak.provider import Plan
from benchmarks.soak.streams import open_all

_GOOD: Final = 50
_BAD: Final = 100
_PAUSE_S: Final = 0.1
_LARGE: Final = Plan(tokens=1_000_000, pause_s=0.5, size=8_000)  # fills all buffers within some ten seconds
_MAX_RATIO: Final = 2.0
_MAX_COST: Final = 512 * 1024
_KERNEL_BYTES: Final = 128 * 1024  # SO_SNDBUF, as the kernel doubles it: not in the process's own memory
_SAID_BEFORE_S: Final = 10.0  # some 160 KiB
_LOOKS: Final = 10
_LOOK_S: Final = 0.2
_EVICTED_WITHIN_S: Final = 60.0
_DEADLINE_S: Final = 300.0


async def measure(folder: Path, *, seconds: float, write_timeout_s: float) -> list[Figure]:
    """Within `seconds` the clients that never read fill all buffers, are held up, and are evicted."""
    settings: dict[str, object] = {"write_timeout_s": write_timeout_s}
    async with (
        asyncio.timeout(_DEADLINE_S),
        provider() as provider_port,
        server(provider_port, folder, server=settings) as served,
    ):
        await _lateness(served.port, 2.0)
        without_s = await _lateness(served.port, seconds)
        files_before = served.open_files
        bad = [await open_never_reading(served.port, chat(_LARGE)) for _ in range(_BAD)]
        with_s = await _lateness(served.port, seconds)
        async with asyncio.timeout(_EVICTED_WITHIN_S):
            while served.open_files > files_before:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        for client in bad:
            client.close()
        cost = await _cost(served) + _KERNEL_BYTES
    ratio = with_s / without_s
    return [
        Figure(f"p99 of {_GOOD} good streams alone", milliseconds(without_s)),
        Figure(f"p99 beside {_BAD} that never read", milliseconds(with_s)),
        Figure("ratio", f"{ratio:.2f}", f"<= {_MAX_RATIO:.0f}", ratio <= _MAX_RATIO),
        Figure("never-reading clients evicted", f"{_BAD} of {_BAD}", "all", True),
        Figure("memory of one viewer that never reads", _kib(cost), f"<= {_kib(_MAX_COST)}", cost <= _MAX_COST),
    ]


async def _cost(served: Server) -> float:
    """The memory of one more viewer of a run, without that of the run itself."""
    body = {"model": "solo", "background": True, "messages": [{"role": "user", "content": _LARGE.question()}]}
    run = await fetch(served.port, request("/v1/runs", body))
    await asyncio.sleep(_SAID_BEFORE_S)
    watch = f"GET {run['events_url']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    await inspect(served)  # a garbage collection, so that earlier garbage is not counted
    memory_before = most = served.memory_bytes
    viewers = [await open_never_reading(served.port, watch) for _ in range(_BAD)]
    for _ in range(_LOOKS):
        await asyncio.sleep(_LOOK_S)
        most = max(most, served.memory_bytes)
    for viewer in viewers:
        viewer.close()
    return (most - memory_before) / _BAD


def _kib(size: float) -> str:
    return f"{size / 1024:.0f} KiB"


async def _lateness(port: int, seconds: float) -> float:
    plan = Plan(tokens=round(seconds / _PAUSE_S), pause_s=_PAUSE_S, gate="good", gate_of=_GOOD)
    streams = await open_all(port, plan, _GOOD)
    await asyncio.gather(*(stream.ended for stream in streams))
    return percentile([late for stream in streams for late in stream.late_s], 99)
