"""Clients as cheap as they can be: one protocol object per stream, which notes when each token came."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from benchmarks.processes import Server, python_module
from benchmarks.soak.provider import Plan

_TOKEN: Final = re.compile(rb"\[(\d+)@([\d.]+)\]")
_RUN_ID: Final = re.compile(rb"X-Run-Id: (\S+)", re.IGNORECASE)
_KEPT_BYTES: Final = 1_024  # of the end of a stream


class Stream(asyncio.Protocol):
    """One question and what became of it. `late_s`: how long each token was on its way, in the order of arrival."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.numbers: list[int] = []
        self.late_s: list[float] = []
        self.run_id = ""
        self.begun: asyncio.Future[None] = loop.create_future()
        self.spoken: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._request = request
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        received, seen = self._rest + data, 0
        if not self.begun.done():
            self.begun.set_result(None)
            found = _RUN_ID.search(received)
            self.run_id = found[1].decode() if found else ""
        for token in _TOKEN.finditer(received):
            self.numbers.append(int(token[1]))
            self.late_s.append(now - float(token[2]))
            seen = token.end()
        if seen and not self.spoken.done():
            self.spoken.set_result(None)
        self._rest = received[max(seen, len(received) - _KEPT_BYTES) :]

    def connection_lost(self, exc: Exception | None) -> None:
        for future in (self.begun, self.spoken, self.ended):
            if not future.done():
                future.set_result(None)

    def leave(self) -> None:
        self._transport.abort()

    @property
    def rest(self) -> bytes:
        """The latest bytes, behind the last token."""
        return self._rest

    @property
    def is_well_formed(self) -> bool:
        """A finish reason, `[DONE]`, and the end of the body."""
        return b'"finish_reason":"' in self._rest and self._rest.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def request(path: str, body: Mapping[str, object], *headers: str) -> bytes:
    content = json.dumps(body).encode()
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode() + content


def chat(plan: Plan, *headers: str, model: str = "solo", stream: bool = True) -> bytes:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": plan.question()}]}
    return request("/v1/chat/completions", body, "X-Presentation: answer", *headers)


async def open_stream(port: int, plan: Plan) -> Stream:
    _, stream = await asyncio.get_running_loop().create_connection(lambda: Stream(chat(plan)), "127.0.0.1", port)
    return stream


async def open_never_reading(port: int, asked: bytes) -> socket.socket:
    """A client that does not read, with a receive buffer of almost nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, asked)
    return client


async def fetch(port: int, asked: bytes, *, host: str = "127.0.0.1") -> Any:
    """The JSON of an answer that ends its connection."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(asked)
    try:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"the server answered {head.decode()} {body.decode()}")
    return json.loads(body)


async def inspect(server: Server) -> dict[str, Any]:
    """The tasks and objects of the server's process (`served_teams.Inspector`)."""
    answer = await fetch(server.port, chat(Plan(tokens=0), model="inspector", stream=False))
    told: dict[str, Any] = json.loads(answer["choices"][0]["message"]["content"])
    return told


@asynccontextmanager
async def provider() -> AsyncIterator[int]:
    """The provider's port."""
    async with python_module("benchmarks.soak.provider") as (_, port):
        yield port
