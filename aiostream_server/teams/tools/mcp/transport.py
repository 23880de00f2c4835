"""How a message gets to an MCP server and back: over the pipes of a program, or over HTTP.

https://modelcontextprotocol.io/specification/2025-06-18/basic/transports
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.sse import sse_client
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage
from pydantic import ValidationError

from aiostream_server.teams.tools.process import Running, running

Received: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
Sent: TypeAlias = MemoryObjectSendStream[SessionMessage]
Streams: TypeAlias = tuple[Received, Sent]

_MAX_MESSAGE_BYTES: Final = 16 * 1024**2
_LAST_WORDS: Final = 20  # lines of stderr
_MAX_WORDS_CHARS: Final = 300
_UNPRINTABLE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\u00a0-\ud7ff]")


@dataclass(frozen=True, slots=True)
class Program:
    """An MCP server that is started. `env` is all that it gets beside PATH, HOME and the like; it may hold secrets."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    folder: Path

    @property
    def where(self) -> str:
        return self.command


@dataclass(frozen=True, slots=True)
class Service:
    """An MCP server that is asked over HTTP; `headers` may hold secrets."""

    url: str
    is_sse: bool
    headers: Mapping[str, str] = field(repr=False)
    read_timeout_s: float

    @property
    def where(self) -> str:
        """`host:port`: the rest of a URL may hold secrets."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass(slots=True)
class LastWords:
    """How a server ended, and what it, or the client, said last: for whoever runs this server, not for its users."""

    secrets: Sequence[str] = field(default=(), repr=False)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_WORDS))
    status: int | None = None
    garbage: int = 0
    """Lines on stdout that are no messages."""
    complaint: str = ""
    """What the client said of an answer that is no message; `shown`."""

    @property
    def ending(self) -> str:
        """Without what it wrote, which users may have written; empty where it is not known."""
        return "" if self.status is None else f"it ended with status {self.status}"

    def __str__(self) -> str:
        """One line; empty where there is nothing to tell."""
        parts = [self.ending] if self.ending else []
        if self.garbage:
            parts.append(f"{self.garbage} line{'' if self.garbage == 1 else 's'} of its output are no MCP messages")
        if self.complaint:
            parts.append(f"its answer is no MCP: {self.complaint}")
        if said := next((line for line in reversed(self.lines) if line), ""):
            parts.append(f"its last words: {self.shown(said)}")
        return "; ".join(parts)

    def shown(self, text: str) -> str:
        """One line, and not a long one. First the secrets go: of one that was cut the beginning would be left."""
        for secret in sorted(filter(None, self.secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_MAX_WORDS_CHARS]

    def hear(self, line: bytes) -> None:
        self.lines.append(_UNPRINTABLE.sub("", line.decode("utf-8", "replace")).strip())


def reach(place: Program | Service, words: LastWords) -> AbstractAsyncContextManager[Streams]:
    """The streams of messages; the first ends when the server does. Raises `OSError`, `httpx.HTTPError`, or a group of
    those."""
    return _program(place, words) if isinstance(place, Program) else _service(place)


@asynccontextmanager
async def _service(place: Service) -> AsyncIterator[Streams]:
    headers = dict(place.headers)
    if place.is_sse:
        async with sse_client(place.url, headers=headers, sse_read_timeout=place.read_timeout_s) as streams:
            yield streams
        return
    timeout = httpx.Timeout(10.0, read=place.read_timeout_s)
    async with (
        httpx.AsyncClient(headers=headers, timeout=timeout) as client,
        streamable_http_client(place.url, http_client=client) as (received, sent, _),
    ):
        yield received, sent


@asynccontextmanager
async def _program(place: Program, words: LastWords) -> AsyncIterator[Streams]:
    arriving, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sent, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    async with (
        arriving,
        received,
        sent,
        leaving,
        running(
            [place.command, *place.args],
            env={**get_default_environment(), **place.env},
            folder=place.folder,
            line_limit=_MAX_MESSAGE_BYTES,
        ) as program,
    ):
        workers = [
            asyncio.create_task(_receive(program, arriving, words)),
            asyncio.create_task(_send(program, leaving)),
            asyncio.create_task(_listen(program, words)),
        ]
        try:
            yield received, sent
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)


async def _receive(
    program: Running,
    arriving: MemoryObjectSendStream[SessionMessage | Exception],
    words: LastWords,
) -> None:
    """A message is a line. Others are none: programs print what they should not, and go on well."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ValueError):  # a line that never ends
        async with arriving:
            async for line in program.stdout:
                try:
                    message = JSONRPCMessage.model_validate_json(line)
                except (ValidationError, RecursionError):
                    words.garbage += bool(line.strip())
                    continue
                await arriving.send(SessionMessage(message))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):  # its pipe is closed: it is about to end
                    words.status = await program.process.wait()


async def _send(program: Running, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
    with suppress(ConnectionError, anyio.ClosedResourceError):
        async for message in leaving:
            program.stdin.write(message.message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n")
            await program.stdin.drain()


async def _listen(program: Running, words: LastWords) -> None:
    while not program.stderr.at_eof():
        with suppress(ValueError):  # a line that does not end is passed over
            words.hear(await program.stderr.readline())
