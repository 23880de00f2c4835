"""One session with one MCP server: open until it is closed, or the server is gone."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

import anyio
import httpx
from mcp import ClientSession, McpError
from mcp.client.session import SamplingFnT
from mcp.shared.message import SessionMessage
from mcp.types import (
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    ClientRequest,
    Implementation,
    PaginatedRequestParams,
    ServerNotification,
    Tool,
    ToolListChangedNotification,
)

from aiostream_server import __version__
from aiostream_server.teams.tools.kept import Kept
from aiostream_server.teams.tools.mcp.transport import LastWords, Program, Received, Service, reach

_T = TypeVar("_T")
# The client's own words, and codes, of which servers may use the second for something else.
_NO_SESSION: Final = (32600, "Session terminated")
_CLOSED: Final = (-32000, "Connection closed")
_PING_S: Final = 3.0
_TELL_S: Final = 1.0
_MAX_TOOL_PAGES: Final = 50


class Unreachable(Exception):
    """There is no server to ask, or no more. One line for whoever runs this server."""


class NoAnswer(Exception):
    """The server was asked, and did not answer in time."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Where a server is, how long it may take, and where people find that it is so: `settings`."""

    name: str
    place: Program | Service
    call_timeout_s: float
    start_timeout_s: float = 30.0
    settings: str = ""
    secrets: Sequence[str] = field(default=(), repr=False)
    sampling: SamplingFnT | None = None


class Connection:
    """Opened by `open`. Bears concurrent calls."""

    def __init__(self, terms: Terms) -> None:
        self.opened_at: Final = time.monotonic()
        self._terms: Final = terms
        self._words: Final = LastWords(terms.secrets)
        self._gone: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self._tools: Sequence[Tool] | None = None
        self._aside: Final[set[asyncio.Task[None]]] = set()
        self._kept: Final = Kept(self._session(), name=f"mcp-{terms.name}")
        self._kept.task.add_done_callback(lambda _: self._is_gone())

    @classmethod
    async def open(cls, terms: Terms) -> Self:
        """Raises `Unreachable`, and nothing of it is left."""
        connection = cls(terms)
        try:
            await connection._kept.opened(terms.start_timeout_s)
        except TimeoutError:
            await connection.close()
            raise connection._unreachable(f"no answer within {terms.start_timeout_s:g} s") from None
        except Exception as exc:
            await connection.close()
            raise connection._unreachable(_told(exc, terms.place)) from exc
        except BaseException:
            await connection.close()
            raise
        return connection

    @property
    def is_lost(self) -> bool:
        return self._gone.done()

    @property
    def ending(self) -> str:
        """How its program ended; empty where it has not, or there is none."""
        return self._words.ending

    async def tools(self) -> Sequence[Tool]:
        """What it offers; asked for again when the server says that this has changed. Raises as `call` does."""
        tools = self._tools
        if tools is None:
            tools = self._tools = await self._in_time(self._list_tools())
        return tools

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Raises `Unreachable`, `NoAnswer`, and `McpError` for a call that the server refuses.

        Who is cancelled while waiting has the server told that nobody waits any more.
        """
        session = await self._kept.opened()
        request = ClientRequest(CallToolRequest(params=CallToolRequestParams(name=tool, arguments=dict(arguments))))
        number = getattr(session, "_request_id", None)  # that of the next request; nothing public tells it
        try:
            # Not `call_tool`: that throws away what does not fit the schema that the server gave for its results.
            return await self._in_time(session.send_request(request, CallToolResult))
        except (NoAnswer, asyncio.CancelledError) as exc:
            if number is not None and not self.is_lost:
                self._do_aside(self._tell_cancelled(session, number))
            if isinstance(exc, NoAnswer):
                self._do_aside(self._see_whether_it_lives(session))
            raise

    async def close(self) -> None:
        """Takes 4 s where the server and its transport are at their worst."""
        for task in tuple(self._aside):
            task.cancel()
        await self._kept.close()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[ClientSession]:
        info = Implementation(name="aiostream-server", version=__version__)
        async with (
            reach(self._terms.place, self._words) as (received, sent),
            self._watched(received) as watched,
            ClientSession(
                watched,
                sent,
                sampling_callback=self._terms.sampling,
                message_handler=self._hear,
                client_info=info,
            ) as session,
        ):
            await session.initialize()
            yield session

    @asynccontextmanager
    async def _watched(self, received: Received) -> AsyncIterator[Received]:
        """The same messages; that they end is known at once."""
        passing, watched = anyio.create_memory_object_stream[SessionMessage | Exception](0)

        async def pass_on() -> None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                async with passing:
                    async for message in received:
                        await passing.send(message)
            self._is_gone()

        passer = asyncio.create_task(pass_on())
        try:
            async with received, watched:
                yield watched
        finally:
            passer.cancel()
            await asyncio.wait({passer})

    async def _list_tools(self) -> Sequence[Tool]:
        session = await self._kept.opened()
        tools: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MAX_TOOL_PAGES):
            page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
            tools += page.tools
            cursor = page.nextCursor
            if cursor is None:
                break
        return tools

    async def _in_time(self, asked: Coroutine[Any, Any, _T]) -> _T:
        """The answer, unless the server goes or is late."""
        asking = asyncio.ensure_future(asked)
        waited: set[asyncio.Future[Any]] = {asking, self._gone}
        limit_s = self._terms.call_timeout_s
        try:
            await asyncio.wait(waited, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() and not asking.cancelled():
                return asking.result()
        except McpError as exc:
            if (exc.error.code, exc.error.message) in (_NO_SESSION, _CLOSED):
                self._is_gone()
                raise Unreachable("the session is over") from exc
            raise
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as exc:
            self._is_gone()
            raise Unreachable("the connection is closed") from exc
        finally:
            asking.cancel()
        if self.is_lost:
            raise Unreachable("the connection was lost")
        raise NoAnswer(f"no answer within {limit_s:g} s")

    def _unreachable(self, why: str) -> Unreachable:
        why = self._words.shown(f"{self._terms.place.where}: {why}")
        return Unreachable("; ".join(filter(None, (why, str(self._words)))))

    def _is_gone(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    async def _hear(self, message: object) -> None:
        if isinstance(message, ServerNotification) and isinstance(message.root, ToolListChangedNotification):
            self._tools = None
        elif isinstance(message, Exception):  # an answer that is no message
            self._words.complaint = self._words.shown(str(message))

    def _do_aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _tell_cancelled(self, session: ClientSession, number: int) -> None:
        params = CancelledNotificationParams(requestId=number, reason="nobody waits for it any more")
        with suppress(Exception):  # it is a courtesy
            async with asyncio.timeout(_TELL_S):
                await session.send_notification(ClientNotification(CancelledNotification(params=params)))

    async def _see_whether_it_lives(self, session: ClientSession) -> None:
        """A server that was late may be slow, or dead: who needs it next must not wait to find out."""
        try:
            async with asyncio.timeout(_PING_S):
                await session.send_ping()
        except McpError:
            return  # it speaks
        except Exception:  # whatever its transport raises
            self._is_gone()


def _told(exc: BaseException, place: Program | Service) -> str:
    """Why a session could not be opened; as long as it is, and with the secrets that it may hold."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    match exc:
        case httpx.HTTPStatusError():
            return f"it answered {exc.response.status_code} {exc.response.reason_phrase}".rstrip()
        case httpx.ConnectError():
            return _refused(exc)
        case httpx.TimeoutException():
            return "it does not answer"
        case FileNotFoundError() if isinstance(place, Program):
            return "no such program" if place.folder.is_dir() else f"no such folder: {place.folder}"
        case OSError():
            return (exc.strerror or type(exc).__name__).lower()
        case McpError() if (exc.error.code, exc.error.message) == _CLOSED:
            return "it closed the connection"
        case McpError() if (exc.error.code, exc.error.message) == _NO_SESSION:
            return "it answered 404 Not Found"
        case McpError():
            return f"it refused: {exc.error.message}"
        case _:
            return f"{type(exc).__name__}: {exc}"


def _refused(exc: BaseException) -> str:
    """What the system says of a connection that cannot be made: it stands at the end of what led to what."""
    why, cause = "it cannot be connected to", exc.__cause__ or exc.__context__
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):  # one for each of its addresses
            cause = cause.exceptions[0]
            continue
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno is not None:
            # asyncio puts its own words, with the address, where the system's stand.
            told = os.strerror(cause.errno) if type(cause).__module__ == "builtins" else cause.strerror or ""
            why = told.lower() or why
        cause = cause.__cause__ or cause.__context__
    return why
