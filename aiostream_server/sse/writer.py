"""The writer that owns one streamed response.

aiohttp waits for the socket only past 64 KiB of backlog, and nothing in it times a client that stops reading. Here a
write ends when the kernel has taken it, and has a deadline. So this process holds next to nothing for a slow client;
and between writes nothing is left to be sent, so that a client that leaves is noticed at once: a transport that still
holds bytes tells nobody that its peer has closed.
"""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from aiostream_server.errors import ClientGone, ClientStalled

SSE_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
_MAX_WRITE_BYTES: Final = 16 * 1024
_LOOK_S: Final = 0.1


class SseWriter:
    """Owned by one task. A write ends within `write_timeout_s` or raises `ClientGone`, of a client that did not read
    `ClientStalled`."""

    __slots__ = ("_is_begun", "_is_chunked", "_looking", "_transport", "_write_timeout_s", "_writer")

    def __init__(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, *, is_chunked: bool, write_timeout_s: float
    ) -> None:
        self._transport = transport
        self._writer = writer
        self._is_chunked = is_chunked
        self._is_begun = False  # the headers are out, which aiohttp sends with the first bytes of the body
        self._write_timeout_s = write_timeout_s
        self._looking: asyncio.TimerHandle

    @classmethod
    async def open(cls, request: web.Request, response: web.StreamResponse, *, write_timeout_s: float) -> "SseWriter":
        """Send the headers. Raises `ClientGone` where nobody waits for them any more."""
        if request.version >= HttpVersion11 and response.content_length is None:
            response.enable_chunked_encoding()
        try:
            writer = await response.prepare(request)
        except ConnectionError as exc:
            raise ClientGone("the client left before the headers were sent") from exc
        if writer is None or request.transport is None:
            raise ClientGone("the client left before the headers were sent")
        request.transport.set_write_buffer_limits(high=0)
        return cls(request.transport, writer, is_chunked=response.chunked, write_timeout_s=write_timeout_s)

    async def send(self, frames: bytes) -> None:
        """Write and flush. A client that takes none of it for `write_timeout_s` is thrown out."""
        for start in range(0, len(frames), _MAX_WRITE_BYTES):
            await self._send_part(frames[start : start + _MAX_WRITE_BYTES])

    def try_send(self, frames: bytes) -> bool:
        """Write without waiting, from outside the owner's task while that waits for something else. False, and nothing
        is written, where it is too much, or the client is gone or has not taken what was written before."""
        transport = self._transport
        if transport.get_write_buffer_size() or len(frames) > _MAX_WRITE_BYTES or transport.is_closing():
            return False
        if frames:
            self._write(frames)
        return True

    @property
    def is_behind(self) -> bool:
        """Whether something written is still to be taken by the kernel."""
        return self._transport.get_write_buffer_size() > 0

    async def flush(self) -> None:
        """What `try_send` could not get rid of."""
        try:
            await self._flush()
        except ConnectionError as exc:
            raise ClientGone("the client closed the connection") from exc

    async def _send_part(self, part: bytes) -> None:
        if self._transport.is_closing():
            raise ClientGone("the client closed the connection")
        try:
            self._write(part)
            if self.is_behind:
                await self._flush()
        except ConnectionError as exc:
            raise ClientGone("the client closed the connection") from exc

    def _write(self, part: bytes) -> None:
        """Past aiohttp, for whose way a token would pay a coroutine and six calls; but for the first, which has the
        headers before it."""
        if self._is_begun and self._is_chunked:
            self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))
            return
        self._is_begun = True
        # drain=False: aiohttp would wait without a deadline, and only past 64 KiB. Then its coroutine never waits.
        with suppress(StopIteration):
            self._writer.write(part, drain=False).send(None)  # type: ignore[call-arg]
            raise AssertionError("aiohttp waits for something before it writes")

    async def _flush(self) -> None:
        self._look()
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._writer.drain()
        except TimeoutError as exc:
            self._transport.abort()
            raise ClientStalled("the client stopped reading") from exc
        finally:
            self._looking.cancel()

    def _look(self) -> None:
        """The client closed its side and reads nothing: its transport waits, for ever, to be rid of what it holds."""
        if self._transport.is_closing():
            self._transport.abort()
        self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)
