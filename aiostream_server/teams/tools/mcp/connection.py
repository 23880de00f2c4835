"""One session with one MCP server, which is open until it is closed or the server is gone."""

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
from aiostream_server.teams.tools.mcp.transport import Diagnostics, Program, Received, Service, reach
from aiostream_server.teams.tools.scope import ResourceTask, first_of

_T = TypeVar("_T")
# Codes and messages of the MCP client's own errors. Servers may use the codes for other errors.
_NO_SESSION: Final = (32600, "Session terminated")
_CLOSED: Final = (-32000, "Connection closed")
_PING_TIMEOUT_S: Final = 3.0
_NOTIFY_TIMEOUT_S: Final = 1.0
_MAX_TOOL_PAGES: Final = 50


class Unreachable(Exception):
    """The server cannot be reached, or its session has ended. The message is one line for the operator."""


class NoAnswer(Exception):
    """The server did not answer a request in time."""


@dataclass(frozen=True, slots=True)
class McpSettings:
    """Where a server is and how long it may take. `source` names where an operator can change that."""

    name: str
    place: Program | Service
    call_timeout_s: float
    start_timeout_s: float = 30.0
    source: str = ""
    secrets: Sequence[str] = field(default=(), repr=False)
    sampling: SamplingFnT | None = None


class Connection:
    """Opened by `open`. Supports concurrent calls."""

    def __init__(self, settings: McpSettings) -> None:
        self.opened_at: Final = time.monotonic()
        self._settings: Final = settings
        self._diagnostics: Final = Diagnostics(settings.secrets)
        self._gone: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self._received: Received | None = None
        self._tools: Sequence[Tool] | None = None
        self._background: Final[set[asyncio.Task[None]]] = set()
        self._resource: Final = ResourceTask(self._session(), name=f"mcp-{settings.name}")
        self._resource.task.add_done_callback(lambda _: self._mark_gone())

    @classmethod
    async def open(cls, settings: McpSettings) -> Self:
        """Raises `Unreachable`, after everything is closed again."""
        connection = cls(settings)
        try:
            await connection._resource.opened(settings.start_timeout_s)
        except BaseException as exc:
            await connection.close()
            if not isinstance(exc, Exception):
                raise
            is_late = isinstance(exc, TimeoutError)
            why = f"no answer within {settings.start_timeout_s:g} s" if is_late else _reason(exc, settings.place)
            raise connection._unreachable(why) from exc
        return connection

    @property
    def is_lost(self) -> bool:
        has_ended = self._received is not None and not self._received.statistics().open_send_streams
        return has_ended or self._gone.done()

    @property
    def ending(self) -> str:
        """How the server's program ended; empty where it runs, or there is none."""
        return self._diagnostics.ending

    async def tools(self) -> Sequence[Tool]:
        """The server's tools, cached until the server reports a change. Raises what `call` raises."""
        tools = self._tools
        if tools is None:
            tools = self._tools = await self._in_time(self._list_tools())
        return tools

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Raises `Unreachable`, `NoAnswer`, and `McpError` for a call that the server refuses.

        On a timeout and on cancellation, tells the server that the call is cancelled.
        """
        session = await self._resource.opened()
        request = ClientRequest(CallToolRequest(params=CallToolRequestParams(name=tool, arguments=dict(arguments))))
        number: int | None = None

        async def ask() -> CallToolResult:
            nonlocal number
            # The id of the next request, which has no public accessor. Read it in the step that also sends: between
            # two steps, a concurrent call would get the same one, and its cancellation would cancel this call.
            number = getattr(session, "_request_id", None)
            # Not `call_tool`, which discards results that do not match the server's own output schema.
            return await session.send_request(request, CallToolResult)

        try:
            return await self._in_time(ask())
        except (NoAnswer, asyncio.CancelledError) as exc:
            task = asyncio.create_task(self._give_up(session, number, pings=isinstance(exc, NoAnswer)))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            raise

    async def close(self) -> None:
        """Takes at most 4 s, where neither the server nor its transport reacts."""
        for task in tuple(self._background):
            task.cancel()
        await self._resource.close()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[ClientSession]:
        info = Implementation(name="aiostream-server", version=__version__)
        async with (
            reach(self._settings.place, self._diagnostics) as (self._received, sent),
            ClientSession(
                self._received,
                sent,
                sampling_callback=self._settings.sampling,
                message_handler=self._on_message,
                client_info=info,
            ) as session,
        ):
            await session.initialize()
            yield session

    async def _list_tools(self) -> Sequence[Tool]:
        session = await self._resource.opened()
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
        """The answer. Raises `Unreachable` where the server is gone, `NoAnswer` where it is late."""
        asking = asyncio.ensure_future(asked)
        waited: set[asyncio.Future[Any]] = {asking, self._gone}
        limit_s = self._settings.call_timeout_s
        try:
            await asyncio.wait(waited, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() and not asking.cancelled():
                return asking.result()
        except McpError as exc:
            if (exc.error.code, exc.error.message) in (_NO_SESSION, _CLOSED):
                self._mark_gone()
                raise Unreachable("the session is over") from exc
            raise
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as exc:
            self._mark_gone()
            raise Unreachable("the connection is closed") from exc
        finally:
            asking.cancel()
        if self.is_lost:
            raise Unreachable("the connection was lost")
        raise NoAnswer(f"no answer within {limit_s:g} s")

    def _unreachable(self, why: str) -> Unreachable:
        why = self._diagnostics.redact(f"{self._settings.place.where}: {why}")
        return Unreachable("; ".join(filter(None, (why, str(self._diagnostics)))))

    def _mark_gone(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    async def _on_message(self, message: object) -> None:
        if isinstance(message, ServerNotification) and isinstance(message.root, ToolListChangedNotification):
            self._tools = None
        elif isinstance(message, Exception):  # an answer that is not a message
            self._diagnostics.complaint = self._diagnostics.redact(str(message))

    async def _give_up(self, session: ClientSession, number: int | None, *, pings: bool) -> None:
        """Tell the server that a call is cancelled.

        `pings` one that was late: it may be slow or dead, and the next call must not wait to find out.
        """
        if number is not None and not self.is_lost:
            params = CancelledNotificationParams(requestId=number, reason="the caller has stopped waiting")
            with suppress(Exception):  # the server may be gone; the notification is optional
                async with asyncio.timeout(_NOTIFY_TIMEOUT_S):
                    await session.send_notification(ClientNotification(CancelledNotification(params=params)))
        if not pings:
            return
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                await session.send_ping()
        except McpError:
            return  # an error answer shows that it is alive
        except Exception:  # transports raise many kinds of errors
            self._mark_gone()


def _reason(exc: BaseException, place: Program | Service) -> str:
    """Why a session cannot be opened. Of any length, and possibly with secrets: see `Diagnostics.redact`."""
    match exc := first_of(exc):
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
        case McpError():
            own = {_CLOSED: "it closed the connection", _NO_SESSION: "it answered 404 Not Found"}
            return own.get((exc.error.code, exc.error.message), f"it refused: {exc.error.message}")
        case _:
            return f"{type(exc).__name__}: {exc}"


def _refused(exc: BaseException) -> str:
    """The operating system's message for a failed connection, which is the last cause in the chain."""
    why, cause = "it cannot be connected to", exc.__cause__ or exc.__context__
    while cause is not None:
        cause = first_of(cause)  # of a group with one error for each address
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno is not None:
            # asyncio replaces the system's message by its own, with the address.
            told = os.strerror(cause.errno) if type(cause).__module__ == "builtins" else cause.strerror or ""
            why = told.lower() or why
        cause = cause.__cause__ or cause.__context__
    return why
