"""SIGTERM during many streams: each of them ends well-formed."""

import asyncio
import time
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from benchmarks.processes import server
from benchmarks.soak.client import provider
from benchmarks.soak.provider import ENDLESS
from benchmarks.soak.streams import open_all

_DRAIN_S: Final = 2.0
_END_WITHIN_S: Final = _DRAIN_S + 1.0
_DEADLINE_S: Final = 120.0


async def measure(folder: Path, *, streams: int) -> list[Figure]:
    settings: dict[str, object] = {"drain_s": _DRAIN_S}
    async with (
        asyncio.timeout(_DEADLINE_S),
        provider() as provider_port,
        server(provider_port, folder, server=settings) as served,
    ):
        opened = await open_all(served.port, ENDLESS, streams)
        await asyncio.gather(*(stream.spoken for stream in opened))
        told_at = time.monotonic()
        served.process.terminate()
        status = await served.process.wait()
        took_s = time.monotonic() - told_at
        await asyncio.gather(*(stream.ended for stream in opened))
    well_formed = sum(stream.is_well_formed for stream in opened)
    return [
        Figure("streams that ended well-formed", f"{well_formed} of {streams}", "all", well_formed == streams),
        Figure("from SIGTERM to the end", f"{took_s:.2f} s", f"<= {_END_WITHIN_S:.0f} s", took_s <= _END_WITHIN_S),
        Figure("exit status", str(status), "0", status == 0),
    ]
