"""Connections to one PostgreSQL, each for one read-only transaction at a time, also through a pooler.

The limits are set at the beginning of each transaction and end with it. So they hold behind PgBouncer, which refuses
settings when a client connects, and no other client of its pool gets them. A connection that broke while it was idle is
replaced. What a statement leaves behind in the server is cancelled, and its backend terminated where it ignores that.
https://www.postgresql.org/docs/current/runtime-config-client.html, https://www.pgbouncer.org/features.html
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg
from sqlalchemy.engine import URL

from aiostream_server.config.postgres_url import read_parameters
from aiostream_server.tools.sql.backend import StatementDeadline

_CONNECT_TIMEOUT_S: Final = 10.0
_RETRY_PART: Final = 0.25  # of the statement's time, while a server restarts
_RETRY_AFTER_S: Final = 0.1
_MOST_IDLE: Final = 5
_MOST_IDLE_S: Final = 180.0  # firewalls forget connections without a word
_LONG_S: Final = 1.0  # after a statement of this length the server's process is replaced: it may have grown
_CANCEL_TIMEOUT_S: Final = 0.3
_END_TIMEOUT_S: Final = 2.0
_LOCK_TIMEOUT_S: Final = 2.0
_CHECK_CLIENT: Final = "500ms"

LOST: Final = (
    *(asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError, OSError),
    asyncpg.InternalClientError,  # the server's last words stand between two answers: "cannot switch to state 12"
)
"""What a broken connection raises. `QueryCanceledError` is among them: test for it first."""
_ENDING: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_STARTING: Final = (asyncpg.CannotConnectNowError, ConnectionRefusedError, FileNotFoundError)


class PostgresConnections:
    """Raises `ValueError` for parameters of the URL that cannot be followed."""

    def __init__(self, url: URL, *, timeout_s: float, timezone: str | None) -> None:
        read = read_parameters(url.query, url.password)
        _, named = url.get_dialect()().create_connect_args(url.set(query=read.in_url))
        self.arguments: Final = {
            "timeout": _CONNECT_TIMEOUT_S,
            **named,
            **read.arguments,
            "server_settings": read.startup,
        }
        self._settings: Final = {
            **read.settings,
            "datestyle": "ISO",
            **({} if timezone is None else {"timezone": timezone}),
            "statement_timeout": _milliseconds(timeout_s),
            "lock_timeout": _milliseconds(min(timeout_s, _LOCK_TIMEOUT_S)),
            "idle_in_transaction_session_timeout": _milliseconds(timeout_s),
            "standard_conforming_strings": "on",  # the guard parses string literals without backslash escapes
        }
        self._idle: Final[list[tuple[asyncpg.Connection, float]]] = []
        self._connecting: Final[set[asyncio.Task[asyncpg.Connection]]] = set()
        self.was_reached = False
        self._is_closed = False

    def limits(self, version: int) -> str:
        """The statement that sets the limits in a transaction, for a server of this major version."""
        settings = dict(self._settings)
        if version >= 11:
            settings["jit"] = "off"  # LLVM looks at no timeout while it compiles a long expression
            settings["geqo_threshold"] = "9"  # planning a join of eleven tables exhaustively takes 250 MB
        if version >= 14:  # the server ends a statement when its client was killed
            settings["client_connection_check_interval"] = _CHECK_CLIENT
        calls = (f"pg_catalog.set_config({_quoted(name)}, {_quoted(value)}, true)" for name, value in settings.items())
        return f"SELECT {', '.join(calls)}"

    @asynccontextmanager
    async def transaction(self, deadline: StatementDeadline) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
        """A connection in a read-only transaction, and a comment for its statements by which they can be found."""
        mark = f"/* aiostream-server {secrets.token_hex(6)} */ "
        connection, started = await self._begun(deadline), time.monotonic()
        try:
            yield connection, mark
        except asyncpg.QueryCanceledError:
            await self._end(connection, mark)
            raise
        except asyncpg.PostgresError:
            await self._put_back(connection, started, mark)
            raise
        except BaseException:
            await self._end(connection, mark)
            raise
        await self._put_back(connection, started, mark)

    async def close(self) -> None:
        self._is_closed = True
        while self._idle:
            connection, _ = self._idle.pop()
            await _closed(connection)
        if self._connecting:
            await asyncio.wait(self._connecting, timeout=_END_TIMEOUT_S)

    async def _begun(self, deadline: StatementDeadline) -> asyncpg.Connection:
        while self._idle:
            connection, since = self._idle.pop()
            if time.monotonic() - since > _MOST_IDLE_S or connection.is_closed():
                connection.terminate()
                continue
            try:
                await self._begin(connection)
            except LOST:
                continue
            return connection
        connection = await self._open(deadline)
        await self._begin(connection)
        return connection

    async def _begin(self, connection: asyncpg.Connection) -> None:
        limits = self.limits(connection.get_server_version().major)
        try:
            await connection.execute(f"BEGIN TRANSACTION READ ONLY; {limits}")
        except BaseException:
            connection.terminate()
            raise

    async def _open(self, deadline: StatementDeadline) -> asyncpg.Connection:
        """Waits for a server that was reached before, and that restarts now."""
        until = time.monotonic() + deadline.remaining_s * _RETRY_PART if self.was_reached else 0.0
        while True:
            try:
                connection = await self._connected()
            except _STARTING:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_RETRY_AFTER_S)
            else:
                self.was_reached = True
                return connection

    async def _put_back(self, connection: asyncpg.Connection, started: float, mark: str) -> None:
        with suppress(*_ENDING):
            try:
                await connection.execute("ROLLBACK", timeout=_END_TIMEOUT_S)
            except asyncio.CancelledError:
                connection.terminate()
                raise
            took_s = time.monotonic() - started
            if took_s < _LONG_S and not self._is_closed and len(self._idle) < _MOST_IDLE:
                self._idle.append((connection, time.monotonic()))
                return
        await self._end(connection, mark)

    async def _end(self, connection: asyncpg.Connection, mark: str) -> None:
        """Cancel the statement. Terminate its backend where that does not help, as far as the role may."""
        if await _closed(connection):
            return
        with suppress(*_ENDING):
            async with asyncio.timeout(_END_TIMEOUT_S):
                other = await self._connected()
                try:
                    await other.execute(
                        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "  # noqa: S608
                        f"WHERE pid <> pg_catalog.pg_backend_pid() AND left(query, {len(mark)}) = {_quoted(mark)}"
                    )
                finally:
                    await _closed(other)

    async def _connected(self) -> asyncpg.Connection:
        """A caller that is cancelled does not wait, but the connection is made, and closed: asyncpg leaves the
        socket open where its own call is cancelled."""
        connecting = asyncio.create_task(asyncpg.connect(**self.arguments), name="postgres-connect")
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_close_late)
            raise


def _close_late(connecting: "asyncio.Task[asyncpg.Connection]") -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().terminate()


async def _closed(connection: asyncpg.Connection) -> bool:
    """Cancel what runs, and close. False where the server does not react in time; the socket is closed all the same."""
    try:
        await connection.close(timeout=_CANCEL_TIMEOUT_S)
    except TimeoutError:
        return False
    except _ENDING:
        connection.terminate()
    return True


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would mean no limit


def _quoted(text: str) -> str:
    """A literal that reads the same whether backslashes escape or not."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
