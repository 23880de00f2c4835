"""The writer that owns one streamed response.

aiohttp waits for the socket only past 64 KiB of backlog, and never times a client that stops reading. Here a write ends
when the kernel has taken it, and has a deadline. So a slow client costs next to no memory here. And between writes the
transport is empty, so that a client that leaves is noticed at once: a transport that still holds bytes does not report
that its peer has closed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from aiostream_server.errors import ClientGone, ClientStalled

SSE_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
WRITES_DIRECTLY = True
"""The switch between `DirectWriter` and the plain way. Only tests change it."""

_MAX_WRITE_BYTES: Final = 16 * 1024
_LOOK_S: Final = 0.1


class EventStream(web.StreamResponse):
    """A response that sends its headers in one packet with what is written first. aiohttp sends them alone."""

    _send_headers_immediately = False


class SseWriter:
    """The plain way, through aiohttp's `write` and `drain`. Owned by one task.

    A write ends within `write_timeout_s` or raises `ClientGone`; `ClientStalled` for a client that did not read.
    """

    __slots__ = ("_looking", "_transport", "_write_timeout_s", "_writer")

    def __init__(self, transport: asyncio.Transport, writer: AbstractStreamWriter, *, write_timeout_s: float) -> None:
        self._transport = transport
        self._writer = writer
        self._write_timeout_s = write_timeout_s
        self._looking: asyncio.TimerHandle | None = None

    @staticmethod
    async def open(request: web.Request, response: web.StreamResponse, *, write_timeout_s: float) -> "SseWriter":
        """Prepare the headers: those of an `EventStream` leave with the first write.

        Raises `ClientGone` if the client has left.
        """
        if request.version >= HttpVersion11 and response.content_length is None:
            response.enable_chunked_encoding()
        try:
            writer = await response.prepare(request)
        except ConnectionError as exc:
            raise ClientGone("the client left before the headers were sent") from exc
        if writer is None or request.transport is None or request.transport.is_closing():
            raise ClientGone("the client left before the headers were sent")
        request.transport.set_write_buffer_limits(high=0)
        if WRITES_DIRECTLY and response.content_length is None:
            is_chunked = response.chunked
            return DirectWriter(request.transport, writer, is_chunked=is_chunked, write_timeout_s=write_timeout_s)
        return SseWriter(request.transport, writer, write_timeout_s=write_timeout_s)

    async def begin(self, frames: bytes) -> None:
        """Send the headers, and behind them these few frames, if there are any. Call it first."""
        try:
            await self._writer.write(frames)  # waits only behind 64 KiB
        except ConnectionError as exc:
            raise ClientGone("the client closed the connection") from exc
        if self.is_behind:
            await self.flush()

    async def send(self, frames: bytes) -> None:
        """Write and flush. Evicts a client that takes none of it for `write_timeout_s`."""
        for start in range(0, len(frames), _MAX_WRITE_BYTES):
            self._refuse_when_closing()
            await self._send_part(frames[start : start + _MAX_WRITE_BYTES])

    async def finish(self, frames: bytes) -> None:
        """The last `send`: the end of the body leaves in the same packet."""
        whole_parts = max(len(frames) - 1, 0) // _MAX_WRITE_BYTES * _MAX_WRITE_BYTES
        await self.send(frames[:whole_parts])
        self._refuse_when_closing()
        async with self._deadline():
            await self._writer.write_eof(frames[whole_parts:])

    def try_send(self, frames: bytes) -> bool:
        """Write without waiting, from outside the owner's task while that waits for something else.

        False, and nothing is written, where that is not possible: then `send` is needed.
        """
        return False

    @property
    def is_behind(self) -> bool:
        """Whether the kernel has not yet taken all that was written."""
        return self._transport.get_write_buffer_size() > 0

    async def flush(self) -> None:
        """Wait until the kernel has taken what `try_send` has written."""
        async with self._deadline():
            await self._writer.drain()

    async def _send_part(self, part: bytes) -> None:
        async with self._deadline():
            await self._writer.write(part)
            await self._writer.drain()

    def _refuse_when_closing(self) -> None:
        if self._transport.is_closing():
            raise ClientGone("the client closed the connection")

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        self._look()
        try:
            async with asyncio.timeout(self._write_timeout_s):
                yield
        except TimeoutError as exc:
            self._transport.abort()
            raise ClientStalled("the client stopped reading") from exc
        except ConnectionError as exc:
            raise ClientGone("the client closed the connection") from exc
        finally:
            if self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def _look(self) -> None:
        """Abort a closing transport: a client that closed its side and reads nothing would keep it open for ever."""
        if self._transport.is_closing():
            self._transport.abort()
        self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)


class DirectWriter(SseWriter):
    """Writes to the transport itself, with its own chunk framing, once aiohttp has sent the headers.

    Such a write needs no coroutine. So the call that appends a token can write it (`try_send`), and no task wakes up.
    The reason, in CPU time of the server per token (one stream, loopback, Python 3.11, aiohttp 3.14): 10 us, against 36
    us the plain way; on uvloop 9 against 33. Of that, the framing alone saves 2 us: 12 us through aiohttp's `write`.
    """

    __slots__ = ("_is_begun", "_is_chunked")

    def __init__(
        self, transport: asyncio.Transport, writer: AbstractStreamWriter, *, is_chunked: bool, write_timeout_s: float
    ) -> None:
        super().__init__(transport, writer, write_timeout_s=write_timeout_s)
        self._is_begun = False
        self._is_chunked = is_chunked

    async def begin(self, frames: bytes) -> None:
        self._is_begun = True
        await super().begin(frames)

    def try_send(self, frames: bytes) -> bool:
        """False where this is too much, or the client is gone or has not taken what was written before."""
        transport = self._transport
        if transport.get_write_buffer_size() or len(frames) > _MAX_WRITE_BYTES or transport.is_closing():
            return False
        if not self._is_begun:
            return False
        if frames:
            self._write(frames)
        return True

    async def _send_part(self, part: bytes) -> None:
        if not self._is_begun:
            self._is_begun = True
            await super()._send_part(part)
            return
        self._write(part)
        if self.is_behind:
            await self.flush()

    def _write(self, part: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(part), part) if self._is_chunked else part)
