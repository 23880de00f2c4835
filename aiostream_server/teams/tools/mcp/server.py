"""An MCP server as the configuration names it: opened by whoever needs it first, and again when it was lost."""

import asyncio
import time
from contextvars import Context
from typing import Final

import structlog

from aiostream_server.errors import ToolFailed
from aiostream_server.teams.tools.mcp.connection import Connection, Terms, Unreachable

_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_SOUND_AFTER_S: Final = 30.0  # what lived so long did not die of being started

_log = structlog.get_logger()


class McpServer:
    """Shared by all runs, or one run's own. One opening at a time; after failures, the next one has to wait."""

    def __init__(self, terms: Terms) -> None:
        self.name: Final = terms.name
        self._terms: Final = terms
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None
        self._closing: Final[set[asyncio.Task[None]]] = set()
        self._failures = 0
        self._retry_at = 0.0
        self._why = ""
        self._tells = True
        self._is_closed = False

    async def connection(self) -> Connection:
        """One that is open. Raises `ToolFailed`, for people who use the team; the log tells more."""
        found = self._connection
        if found is not None and not found.is_lost:
            return found
        if self._is_closed:
            raise ToolFailed(f'the tool "{self.name}" is closed: the run that it belongs to has ended')
        if found is not None:
            self._lost(found)
        if self._opening is None:
            if time.monotonic() < self._retry_at:
                raise self._failed()
            self._opening = asyncio.create_task(self._open(), name=f"mcp-{self.name}-opening", context=Context())
            self._opening.add_done_callback(_see)
        return await asyncio.shield(self._opening)

    def begin(self) -> None:
        """Open it without waiting; who needs it will."""
        if self._opening is None and self._connection is None:
            self._opening = asyncio.create_task(self._open(), name=f"mcp-{self.name}-opening", context=Context())
            self._opening.add_done_callback(_see)

    async def problem(self) -> str | None:
        """Why it cannot be opened, in one line for whoever runs the server; None where it can."""
        self._tells = False
        try:
            await self.connection()
        except ToolFailed:
            return self._why
        finally:
            self._tells = True
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
            connection = await Connection.open(self._terms)
        except Unreachable as exc:
            self._why = str(exc)
            self._wait_longer(_FIRST_WAIT_S)
            if self._tells:
                wait_s = round(max(0.0, self._retry_at - time.monotonic()), 1)
                _log.warning("mcp_server_unreachable", tool=self.name, reason=self._why, next_attempt_s=wait_s)
            raise self._failed() from exc
        finally:
            self._opening = None
        self._connection = connection
        return connection

    def _lost(self, connection: Connection) -> None:
        """A server that dies at once, whenever it is started, is not started again and again."""
        self._connection = None
        lived_s = time.monotonic() - connection.opened_at
        reason = connection.ending or "the connection was lost"
        _log.warning("mcp_server_lost", tool=self.name, reason=reason, lived_s=round(lived_s, 1))
        if lived_s >= _SOUND_AFTER_S:
            self._failures = 0
        else:
            self._why = f"it ended soon after it was started: {reason}"
            self._wait_longer(0.0)
        self._drop(connection)

    def _wait_longer(self, first_s: float) -> None:
        self._failures += 1
        wait_s = first_s if self._failures == 1 else min(_FIRST_WAIT_S * 2 ** (self._failures - 2), _LONGEST_WAIT_S)
        self._retry_at = time.monotonic() + wait_s

    def _drop(self, connection: Connection) -> None:
        self._connection = None
        task = asyncio.create_task(connection.close(), name=f"mcp-{self.name}-closing", context=Context())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _failed(self) -> ToolFailed:
        return ToolFailed(
            f'the tool "{self.name}" is not available: its MCP server cannot be used. Whoever runs this server finds '
            f"the reason in its log (mcp_server_unreachable), and the settings in {self._terms.settings}"
        )


def _see(opening: asyncio.Task[Connection]) -> None:
    """Who began it may have gone: asyncio need not report its exception as forgotten."""
    if not opening.cancelled():
        opening.exception()
