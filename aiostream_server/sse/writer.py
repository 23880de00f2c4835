"""The writer that owns one streamed response.

aiohttp waits for the socket only past 64 KiB of backlog, and nothing in it times a client that stops reading. So the
high-water mark is set low, every write is flushed down to it, and the flush has a deadline.
"""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from aiostream_server.errors import ClientGone

SSE_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_HIGH_WATER_BYTES: Final = 16 * 1024


class SseWriter:
    """Owned by one task. A write ends within `write_timeout_s` or raises `ClientGone`."""

    def __init__(self, transport: asyncio.Transport, writer: AbstractStreamWriter, *, write_timeout_s: float) -> None:
        self._transport = transport
        self._writer = writer
        self._write_timeout_s = write_timeout_s

    @classmethod
    async def open(cls, request: web.Request, response: web.StreamResponse, *, write_timeout_s: float) -> "SseWriter":
        """Send the headers. Raises `ClientGone` where nobody waits for them any more."""
        try:
            writer = await response.prepare(request)
        except ConnectionError as exc:
            raise ClientGone("the client left before the headers were sent") from exc
        if writer is None or request.transport is None:
            raise ClientGone("the client left before the headers were sent")
        request.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        return cls(request.transport, writer, write_timeout_s=write_timeout_s)

    async def send(self, frames: bytes) -> None:
        """Write and flush. A client that does not read for `write_timeout_s` is thrown out."""
        if self._transport.is_closing():
            raise ClientGone("the client closed the connection")
        try:
            # drain=False: aiohttp would wait without a deadline, and only past 64 KiB.
            await self._writer.write(frames, drain=False)  # type: ignore[call-arg]
            if self._transport.get_write_buffer_size():
                async with asyncio.timeout(self._write_timeout_s):
                    await self._writer.drain()
        except ConnectionError as exc:
            raise ClientGone("the client closed the connection") from exc
        except TimeoutError as exc:
            self._transport.abort()
            raise ClientGone("the client stopped reading") from exc
