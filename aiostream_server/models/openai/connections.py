"""The pool of connections to providers, shared by all models of the process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

_RECEIVE_BUFFER_BYTES: Final = 128 * 1024
_READ_BUFFER_BYTES: Final = 64 * 1024  # of aiohttp, which pauses the connection at twice as much


def open_session() -> aiohttp.ClientSession:
    """A connection pool without a limit: admission control limits the runs. Call it in the loop that uses it."""
    return aiohttp.ClientSession(
        connector=_Pool(limit=0, socket_factory=_new_socket),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BUFFER_BYTES,
    )


@dataclass(slots=True)
class ConnectionUse:
    """The connection of one request. `is_reused`: it was in the pool, where the provider may have closed it."""

    is_reused: bool = False
    is_new: bool = False


_use: Final[ContextVar[ConnectionUse | None]] = ContextVar("connection of the request that is being made")


@contextmanager
def noted_use() -> Iterator[ConnectionUse]:
    """The connection of the request that is made in this block, over a session of `open_session`."""
    token = _use.set(noted := ConnectionUse())
    try:
        yield noted
    finally:
        _use.reset(token)


class _Pool(aiohttp.TCPConnector):
    """Notes whether a connection is reused. To be told so by aiohttp's tracing costs 1 % of a small run."""

    async def connect(self, *asked: Any, **named: Any) -> Any:  # the types of a release of aiohttp
        made = await super().connect(*asked, **named)
        if (noted := _use.get(None)) is not None:
            noted.is_reused = not noted.is_new
        return made


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Bounds the receive buffer: the kernel would take up to 32 MiB of an answer that is not being read."""
    if (noted := _use.get(None)) is not None:
        noted.is_new = True
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return made
