"""A client that is no more than a socket: it reads when a test says so, and leaves in the way that a test says."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, TypeAlias

from tests.kit.bare_server import bare_stream
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.serving import chat_body
from tests.kit.waiting import wait_for

Leaving: TypeAlias = Literal["FIN", "RST", "half-close"]
WAYS: Final[tuple[Leaving, ...]] = ("FIN", "RST", "half-close")


def question(team: str, *, path: str = "/v1/chat/completions", headers: str = "", **fields: Any) -> bytes:
    """A streamed one, on a connection that is kept; `headers` is whole lines."""
    return posted(path, chat_body("hi", model=team, **fields), headers)


def posted(path: str, said: Mapping[str, Any], headers: str = "") -> bytes:
    body = json.dumps(said).encode()
    lines = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def connected(url: str, request: bytes) -> AsyncIterator[socket.socket]:
    """A client that has sent this."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)  # else the kernel reads on for it
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", int(url.rpartition(":")[2])))
        await loop.sock_sendall(client, request)
        yield client


def leave(client: socket.socket, way: Leaving) -> float:
    """When it left."""
    if way == "half-close":
        client.shutdown(socket.SHUT_WR)
        return time.monotonic()
    if way == "RST":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    return time.monotonic()


@asynccontextmanager
async def no_longer_than(seconds: float) -> AsyncIterator[None]:
    """Check that the block takes at most so long, plus what a bare aiohttp server is late by under the same load."""
    async with bare_stream() as bare:
        started = time.monotonic()
        yield
        took_s = time.monotonic() - started
    assert took_s < seconds + 5 * bare.worst_s, f"{took_s:.3f} s, beside a bare server {bare.worst_s:.3f} s late"


async def until(is_so: Callable[[], bool]) -> None:
    """Poll often: no event tells a test what happens inside the server."""
    await wait_for(is_so, every_s=0.005)


async def until_held(provider: ScriptedProvider) -> None:
    """Until the provider cannot send more, because the server reads no more."""
    left = (await provider.request()).left
    seen = -1
    while len(left) > seen:
        seen = len(left)
        await asyncio.sleep(0.2)
