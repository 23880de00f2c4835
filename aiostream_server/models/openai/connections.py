"""The pool of connections to providers, shared by all models of the process."""

import socket
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

import aiohttp

_RECEIVE_BUFFER_BYTES: Final = 128 * 1024
_READ_BUFFER_BYTES: Final = 64 * 1024  # of aiohttp, which pauses the connection at twice as much


def open_session() -> aiohttp.ClientSession:
    """A connection pool without a limit: admission control limits the runs. Call it in the loop that uses it."""
    connector = aiohttp.TCPConnector(limit=0, socket_factory=_new_socket)
    reuse = aiohttp.TraceConfig()
    reuse.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[reuse],
        read_bufsize=_READ_BUFFER_BYTES,
    )


@dataclass(slots=True)
class ConnectionUse:
    """The connection of one request. `is_reused`: it was in the pool, where the provider may have closed it."""

    is_reused: bool = False


async def _note_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    if isinstance(context.trace_request_ctx, ConnectionUse):
        context.trace_request_ctx.is_reused = True


def _new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Bounds the receive buffer: the kernel would take up to 32 MiB of an answer that is not being read."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    return made
