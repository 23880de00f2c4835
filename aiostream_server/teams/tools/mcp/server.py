"""An MCP server that opens on first use, and again, with backoff, after its connection was lost."""

import asyncio
import time
from contextvars import Context
from typing import Final

import structlog

from aiostream_server.backoff import doubled_s
from aiostream_server.errors import ToolFailed
from aiostream_server.teams.tools.mcp.connection import Connection, McpSettings, Unreachable
from aiostream_server.teams.tools.scope import mark_as_retrieved

_FIRST_BACKOFF_S: Final = 1.0
_MAX_BACKOFF_S: Final = 60.0
_STABLE_AFTER_S: Final = 30.0  # a connection that lived so long resets the backoff

_log = structlog.get_logger()


class McpServer:
    """Shared by all runs, or owned by one. Opens one connection at a time; retries with backoff after failures."""

    def __init__(self, settings: McpSettings) -> None:
        self.name: Final = settings.name
        self._settings: Final = settings
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._closing: Final[set[asyncio.Task[None]]] = set()
        self._failures = 0
        self._retry_at = 0.0
        self._last_failure = ""
        self._logs_failures = True
        self._is_closed = False

    async def connection(self) -> Connection:
        """An open connection. Raises `ToolFailed` with a message for users; the log has the details."""
        found = self._connection
        if found is not None and not found.is_lost:
            return found
        if self._is_closed:
            raise ToolFailed(f'the tool "{self.name}" is closed: the run that it belongs to has ended')
        if found is not None:
            self._lost(found)
        if self._opening is None and time.monotonic() < self._retry_at:
            raise self._failed()
        return await asyncio.shield(self.begin())

    def begin(self) -> asyncio.Task[Connection]:
        """Begin to open the connection, without waiting."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name=f"mcp-{self.name}-opening", context=Context())
            self._opening.add_done_callback(mark_as_retrieved)
        return self._opening

    async def problem(self) -> str | None:
        """Why the server cannot be used, in one line for the operator; None where it can."""
        self._logs_failures = False
        try:
            await self.connection()
        except ToolFailed:
            return self._last_failure
        finally:
            self._logs_failures = True
        return None

    async def close(self) -> None:
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self._connection is not None:
            self._drop(self._connection)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _open(self) -> Connection:
        try:
            connection = await Connection.open(self._settings)
        except Unreachable as exc:
            self._last_failure = str(exc)
            self._back_off(_FIRST_BACKOFF_S)
            if self._logs_failures:
                wait_s = round(max(0.0, self._retry_at - time.monotonic()), 1)
                _log.warning("mcp_server_unreachable", tool=self.name, reason=self._last_failure, next_attempt_s=wait_s)
            raise self._failed() from exc
        finally:
            self._opening = None
        self._connection = connection
        return connection

    def _lost(self, connection: Connection) -> None:
        """Log the loss. A connection that was short-lived counts as a failure, so that the next one waits longer."""
        lived_s = time.monotonic() - connection.opened_at
        reason = connection.ending or "the connection was lost"
        _log.warning("mcp_server_lost", tool=self.name, reason=reason, lived_s=round(lived_s, 1))
        if lived_s >= _STABLE_AFTER_S:
            self._failures = 0
        else:
            self._last_failure = f"it ended soon after it was started: {reason}"
            self._back_off(0.0)
        self._drop(connection)

    def _back_off(self, first_s: float) -> None:
        self._failures += 1
        later_s = doubled_s(self._failures - 1, first_s=_FIRST_BACKOFF_S, longest_s=_MAX_BACKOFF_S)
        wait_s = first_s if self._failures == 1 else later_s
        self._retry_at = time.monotonic() + wait_s

    def _drop(self, connection: Connection) -> None:
        self._connection = None
        task = asyncio.create_task(connection.close(), name=f"mcp-{self.name}-closing", context=Context())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _failed(self) -> ToolFailed:
        return ToolFailed(
            f'the tool "{self.name}" is not available: its MCP server cannot be used. The operator of this '
            f"server finds the reason in its log (mcp_server_unreachable), and the settings in {self._settings.source}"
        )
