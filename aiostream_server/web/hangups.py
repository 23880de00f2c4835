"""Notices clients that hang up while their connection is not read.

aiohttp stops reading a connection on which 32 requests, or much of a later body, stand behind the one that is being
answered. The event loop then reports neither an end nor a reset. So the sockets of such connections are polled, which
tells of an end that the kernel has seen. It has not where the bytes in front of the end fill its buffer: there the
connection is read again, what comes is thrown away, and the answer under way is the last one of the connection, as HTTP
allows (https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2).

A client that closes only its sending side has hung up, as it has on a connection that is read.
"""

import asyncio
import fcntl
import select
import socket
import struct
import termios
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from aiostream_server.web.traffic import Traffic
from aiostream_server.web.undocumented import connection_of

_INTERVAL_S: Final = 0.5
_HELD_BYTES: Final = 16 * 1024
"""A kernel's buffer with fewer bytes has room for the end of the stream."""
_MAX_DISCARDED_BYTES: Final = 64 * 1024**2
_TCP_INFO: Final = struct.Struct("128xQ")  # bytes_received: linux/tcp.h, in every kernel since 4.1


class HangUps:
    """Looks at the connections with a request under way, every half second."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic: Final = traffic
        self._discarding: dict[web.RequestHandler, int] = {}  # and how many bytes had come when that began

    def is_last(self, request: web.Request) -> bool:
        """Whether the connection takes no request after this one."""
        return connection_of(request) in self._discarding

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            self._look()

    def _look(self) -> None:
        discarding: dict[web.RequestHandler, int] = {}
        for request in self._traffic.requests:
            connection = connection_of(request)
            transport = connection.transport
            if transport is None or transport.is_closing():
                continue
            if connection in self._discarding:
                if _received_bytes(transport) - self._discarding[connection] < _MAX_DISCARDED_BYTES:
                    discarding[connection] = self._discarding[connection]
                else:
                    transport.abort()
            elif not transport.is_reading():
                self._look_at_unread(request, connection, transport, discarding)
        self._discarding = discarding

    def _look_at_unread(
        self,
        request: web.Request,
        connection: web.RequestHandler,
        transport: asyncio.Transport,
        discarding: dict[web.RequestHandler, int],
    ) -> None:
        if _has_hung_up(transport):
            transport.abort()
        elif request.content.is_eof() and _may_hide_an_end(transport):
            connection.close()  # from now on it drops what it reads
            transport.resume_reading()
            discarding[connection] = _received_bytes(transport)


HANG_UPS: Final[web.AppKey[HangUps]] = web.AppKey("hang_ups", HangUps)


async def watch_hang_ups(app: web.Application) -> AsyncIterator[None]:
    """A `cleanup_ctx`."""
    watching = asyncio.create_task(app[HANG_UPS].watch(), name="hang-ups")
    yield
    watching.cancel()
    await asyncio.wait({watching})


async def close_when_last(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: tell the client that what stands behind this request will not be answered."""
    if request.app[HANG_UPS].is_last(request):
        response.force_close()
        response.headers["Connection"] = "close"


def _has_hung_up(transport: asyncio.Transport) -> bool:
    """Whether the kernel has seen the client's end, or a reset; unlike reading, this looks past unread bytes."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


def _may_hide_an_end(transport: asyncio.Transport) -> bool:
    """Whether the kernel's buffer may be full. A Unix socket reports an end in any case."""
    opened = transport.get_extra_info("socket")
    if opened.family == socket.AF_UNIX:
        return False
    held = fcntl.ioctl(opened.fileno(), termios.FIONREAD, bytes(4))
    return bool(struct.unpack("i", held)[0] >= _HELD_BYTES)


def _received_bytes(transport: asyncio.Transport) -> int:
    opened = transport.get_extra_info("socket")
    info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    return int(_TCP_INFO.unpack(info)[0])
