"""A bare aiohttp server and client, to calibrate promises about time on a machine that may be busy.

async with bare_stream() as bare:
    ...  # measure our own delays here, under the same load, in the same event loop
assert max(delays) < 3 * bare.worst_s + 0.05  # behind the block; its end is measured, too
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import aiohttp
from aiohttp import web


@dataclass(slots=True)
class BareStream:
    """How long after its time each line of the bare server was read by the plain client, in seconds.

    Its time is when the server's pause was to end: a process that got no processor is late with the write as well.
    """

    delays: list[float] = field(default_factory=list)

    @property
    def worst_s(self) -> float:
        return max(self.delays, default=0.0)

    @property
    def typical_s(self) -> float:
        return median(self.delays) if self.delays else 0.0


@asynccontextmanager
async def bare_stream(*, pause_s: float = 0.01) -> AsyncIterator[BareStream]:
    """Stream a line every `pause_s` from a bare aiohttp server to a plain client while the block runs."""

    async def stream(request: web.Request) -> web.StreamResponse:
        return await _stream_times(request, pause_s)

    app = web.Application()
    app.router.add_get("/", stream)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    measured = BareStream()
    came = asyncio.Event()
    reader = asyncio.create_task(_read_times(f"http://127.0.0.1:{runner.addresses[0][1]}", measured, came))
    try:
        await came.wait()
        yield measured
        came.clear()
        await came.wait()
    finally:
        reader.cancel()
        await asyncio.wait((reader,))
        await runner.cleanup()


async def _stream_times(request: web.Request, pause_s: float) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    due_at = time.monotonic()
    while True:
        await response.write(f"{due_at!r}\n".encode())
        due_at = time.monotonic() + pause_s
        await asyncio.sleep(pause_s)


async def _read_times(url: str, measured: BareStream, came: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        async for line in response.content:
            measured.delays.append(time.monotonic() - float(line))
            came.set()
