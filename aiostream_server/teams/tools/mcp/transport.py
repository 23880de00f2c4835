"""Carries messages to an MCP server and back: over the pipes of a program, or over HTTP.

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

from aiostream_server.teams.tools.process import RunningProgram, run_program
from aiostream_server.text import one_line

Received: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
Sent: TypeAlias = MemoryObjectSendStream[SessionMessage]
Streams: TypeAlias = tuple[Received, Sent]

_MAX_MESSAGE_BYTES: Final = 16 * 1024**2
_STDERR_LINES: Final = 20
_MAX_SHOWN_CHARS: Final = 300
_UNPRINTABLE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\u00a0-\ud7ff]")


@dataclass(frozen=True, slots=True)
class Program:
    """An MCP server that is a program. `env`, which may hold secrets, adds to PATH, HOME and the like."""

    command: str
    args: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    folder: Path

    @property
    def where(self) -> str:
        return self.command


@dataclass(frozen=True, slots=True)
class Service:
    """An MCP server at a URL. `headers` may hold secrets."""

    url: str
    is_sse: bool
    headers: Mapping[str, str] = field(repr=False)
    read_timeout_s: float

    @property
    def where(self) -> str:
        """`host:port`: the rest of a URL may hold secrets."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass(slots=True)
class Diagnostics:
    """What helps an operator to see why a server failed. It may quote users, so users do not get to see it."""

    secrets: Sequence[str] = field(default=(), repr=False)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_STDERR_LINES))
    status: int | None = None
    garbage: int = 0
    """The number of lines on stdout that are not messages."""
    complaint: str = ""
    """The client's error about an answer that is not a message, made safe by `redact`."""

    @property
    def ending(self) -> str:
        """How the program ended, without its output, which may quote users; empty where that is unknown."""
        return "" if self.status is None else f"it ended with status {self.status}"

    def __str__(self) -> str:
        """One line; empty where nothing is known."""
        parts = [self.ending] if self.ending else []
        if self.garbage:
            parts.append(f"{self.garbage} line{'' if self.garbage == 1 else 's'} of its output are no MCP messages")
        if self.complaint:
            parts.append(f"its answer is no MCP: {self.complaint}")
        if said := next((line for line in reversed(self.lines) if line), ""):
            parts.append(f"its last words: {self.redact(said)}")
        return "; ".join(parts)

    def redact(self, text: str) -> str:
        """One short line without secrets. They are replaced before the text is cut, so that no part of one remains."""
        for secret in sorted(filter(None, self.secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return one_line(text, _MAX_SHOWN_CHARS)

    def add_stderr(self, line: bytes) -> None:
        self.lines.append(_UNPRINTABLE.sub("", line.decode("utf-8", "replace")).strip())


def reach(place: Program | Service, diagnostics: Diagnostics) -> AbstractAsyncContextManager[Streams]:
    """The streams of messages; the received one ends with the server.

    Raises `OSError`, `httpx.HTTPError`, or a group of these.
    """
    return _program(place, diagnostics) if isinstance(place, Program) else _service(place)


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
async def _program(place: Program, diagnostics: Diagnostics) -> AsyncIterator[Streams]:
    arriving, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sent, leaving = anyio.create_memory_object_stream[SessionMessage](0)
    async with (
        arriving,
        received,
        sent,
        leaving,
        run_program(
            [place.command, *place.args],
            env={**get_default_environment(), **place.env},
            folder=place.folder,
            line_limit=_MAX_MESSAGE_BYTES,
        ) as program,
        anyio.create_task_group() as workers,
    ):
        workers.start_soon(_receive, program, arriving, diagnostics)
        workers.start_soon(_send, program, leaving)
        workers.start_soon(_listen, program, diagnostics)
        yield received, sent
        workers.cancel_scope.cancel()


async def _receive(
    program: RunningProgram,
    arriving: MemoryObjectSendStream[SessionMessage | Exception],
    diagnostics: Diagnostics,
) -> None:
    """Each message is a line. Other lines are counted and skipped, because many programs also print log lines."""
    with suppress(
        anyio.BrokenResourceError, anyio.ClosedResourceError, ValueError
    ):  # ValueError: a line exceeds the limit
        async with arriving:
            async for line in program.stdout:
                try:
                    message = JSONRPCMessage.model_validate_json(line)
                except (ValidationError, RecursionError):
                    diagnostics.garbage += bool(line.strip())
                    continue
                await arriving.send(SessionMessage(message))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):  # it has closed its output, so it ends soon
                    diagnostics.status = await program.process.wait()


async def _send(program: RunningProgram, leaving: MemoryObjectReceiveStream[SessionMessage]) -> None:
    with suppress(ConnectionError, anyio.ClosedResourceError):
        async for message in leaving:
            program.stdin.write(message.message.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n")
            await program.stdin.drain()


async def _listen(program: RunningProgram, diagnostics: Diagnostics) -> None:
    while not program.stderr.at_eof():
        with suppress(ValueError):  # skips a line that exceeds the limit
            diagnostics.add_stderr(await program.stderr.readline())
