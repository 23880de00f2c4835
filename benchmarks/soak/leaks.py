"""Thousands of runs with every kind of end leave no memory, task or file behind in the server."""

import asyncio
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure
from benchmarks.processes import Server, server
from benchmarks.soak.client import fetch, inspect, open_stream, provider, request
from benchmarks.soak.provider import ENDLESS, Plan

_AT_ONCE: Final = 40
_DEADLINE_S: Final = 1_800.0
_MAX_GROWTH_BYTES: Final = 1024  # per 100 runs
_CACHES_FULL_RUNS: Final = 18_000  # memory grows by 1.2 MiB up to there, and by 24 KiB in the 30,000 runs behind
_MAX_NEW_BLOCKS: Final = 10  # per 100 runs: less than one for a run, or it would be a leak
_MAX_NEW_OBJECTS: Final = 500  # of some 300,000: caches fill up
_SETTLE_S: Final = 2.5  # idle connections to the provider are closed by then


async def measure(folder: Path, *, runs: int, warm_up: int, looks: int) -> list[Figure]:
    """The warm-up fills bounded caches, such as ids of expired runs: nothing of memory is judged where it is too short.

    `looks` is how often memory is measured.
    """
    async with asyncio.timeout(_DEADLINE_S), provider() as provider_port, server(provider_port, folder) as served:
        await _do(served.port, warm_up)
        before, files_before, memory = await _look(served), served.open_files, [served.memory_bytes]
        took_s = 0.0
        for _ in range(looks):
            started = time.monotonic()
            await _do(served.port, runs // looks)
            took_s += time.monotonic() - started
            after = await _look(served)
            memory.append(served.memory_bytes)
        files_after = served.open_files
    growth = statistics.linear_regression(range(len(memory)), memory).slope / (runs / looks / 100)
    objects = after["objects"] - before["objects"]
    is_full = warm_up >= _CACHES_FULL_RUNS
    blocks = (after["blocks"] - before["blocks"]) / runs * 100
    return [
        Figure("runs", f"{runs}, {runs / took_s:.0f} a second, after {warm_up} to warm up"),
        Figure("tasks", f"{before['tasks']} -> {after['tasks']}", "the same", after["tasks"] <= before["tasks"]),
        Figure("open files", f"{files_before} -> {files_after}", "the same", files_after <= files_before),
        Figure(
            "live objects",
            f"{objects:+} {_grown(before, after)}",
            f"<= +{_MAX_NEW_OBJECTS}",
            objects <= _MAX_NEW_OBJECTS if is_full else None,
        ),
        Figure(
            "blocks of memory per 100 runs",
            f"{blocks:+.1f}",
            f"<= +{_MAX_NEW_BLOCKS}",
            blocks <= _MAX_NEW_BLOCKS if is_full else None,
        ),
        Figure(
            "memory per 100 runs",
            f"{growth:+.0f} bytes",
            f"< {_MAX_GROWTH_BYTES} bytes",
            growth < _MAX_GROWTH_BYTES if is_full else None,
        ),
        Figure("memory", f"{memory[0] / 1024**2:.2f} MiB -> {memory[-1] / 1024**2:.2f} MiB"),
    ]


async def _look(served: Server) -> dict[str, Any]:
    await asyncio.sleep(_SETTLE_S)
    return await inspect(served)


def _grown(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The types with more objects than before."""
    more = Counter(after["types"]) - Counter(before["types"])
    return ", ".join(f"{kind} +{count}" for kind, count in more.most_common(3))


async def _do(port: int, runs: int) -> None:
    """Start `runs` runs with a mix of all kinds of end, several at once."""
    left = iter(range(runs))

    async def work() -> None:
        for number in left:
            await _ENDS[number % len(_ENDS)](port)

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


async def _finish(port: int) -> None:
    stream = await open_stream(port, Plan(tokens=5))
    await stream.ended
    if not stream.is_well_formed:
        raise RuntimeError("a stream did not end well-formed")


async def _cancel(port: int) -> None:
    stream = await open_stream(port, ENDLESS)
    await stream.spoken
    await fetch(port, request(f"/v1/runs/{stream.run_id}/cancel", {}))
    await stream.ended


async def _disconnect(port: int) -> None:
    stream = await open_stream(port, ENDLESS)
    await stream.spoken
    stream.leave()
    await stream.ended


async def _be_refused(port: int) -> None:
    await (await open_stream(port, Plan(tokens=0, ends="refused"))).ended


async def _break_off(port: int) -> None:
    await (await open_stream(port, Plan(tokens=3, ends="broken off"))).ended


_ENDS: Final = (_finish, _cancel, _finish, _disconnect, _finish, _be_refused, _finish, _break_off)
