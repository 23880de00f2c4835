"""Many streams at once: nothing lost, nothing reordered, and every event on time."""

import asyncio
import time
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.processes import server
from benchmarks.soak.client import Stream, open_stream, provider
from benchmarks.soak.provider import Plan

_EVENTS: Final = 10
_STARTING: Final = 16  # at a time, so that connecting does not disturb the measurement
_DEADLINE_S: Final = 300.0
_MAX_LATE_S: Final = 0.05


async def measure(folder: Path, *, streams: int) -> list[Figure]:
    """All streams begin before the provider sends the first event; then each gets one event a second."""
    plan = Plan(tokens=_EVENTS, pause_s=1.0, gate="streams", gate_of=streams)
    async with asyncio.timeout(_DEADLINE_S), provider() as provider_port, server(provider_port, folder) as served:
        memory_before = served.memory_bytes
        started = time.monotonic()
        opened = await open_all(served.port, plan, streams)
        ramp_s = time.monotonic() - started
        memory_per_stream = (served.memory_bytes - memory_before) / streams
        cpu_before = served.cpu_s
        await asyncio.gather(*(stream.ended for stream in opened))
        cpu_s = served.cpu_s - cpu_before
    late_s = [late for stream in opened for late in stream.late_s]
    expected = list(range(1, _EVENTS + 1))
    lost = sum(len(set(expected) - set(stream.numbers)) for stream in opened)
    reordered = sum(stream.numbers != sorted(set(stream.numbers)) for stream in opened)
    broken = sum(not stream.is_well_formed for stream in opened)
    p99 = percentile(late_s, 99) if len(late_s) > 1 else float("inf")
    return [
        Figure("streams at once", f"{streams}, begun in {ramp_s:.1f} s"),
        Figure("events lost", str(lost), "0", lost == 0),
        Figure("streams with events out of order", str(reordered), "0", reordered == 0),
        Figure("streams not well-formed", str(broken), "0", broken == 0),
        Figure("lateness, median", milliseconds(percentile(late_s, 50)) if late_s else "-"),
        Figure("lateness, p99", milliseconds(p99), f"<= {milliseconds(_MAX_LATE_S)}", p99 <= _MAX_LATE_S),
        Figure("lateness, greatest", milliseconds(max(late_s, default=0.0))),
        Figure("memory per stream", f"{memory_per_stream / 1024:.0f} KiB"),
        Figure("server's processor time, streaming", f"{cpu_s:.1f} s"),
    ]


async def open_all(port: int, plan: Plan, streams: int) -> list[Stream]:
    """Open `streams` streams of this plan, and wait until each has begun."""
    starting = asyncio.Semaphore(_STARTING)

    async def start() -> Stream:
        async with starting:
            stream = await open_stream(port, plan)
            await stream.begun
            return stream

    return await asyncio.gather(*(start() for _ in range(streams)))
