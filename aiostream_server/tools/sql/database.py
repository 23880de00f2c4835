"""One database that questions are asked of: its schema, its guard, and the rows of what the guard approved.

Nothing runs that this database's own guard has not approved, and what runs is bounded: read-only, in time, rows and
bytes. Cancelling the task that waits for rows stops the statement itself, in the server or in SQLite's thread.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Self, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed, one_line
from aiostream_server.tools.sql.fetch import Caps, fetch
from aiostream_server.tools.sql.guard import Guard
from aiostream_server.tools.sql.postgres import PostgresWalls
from aiostream_server.tools.sql.reflect import reflect
from aiostream_server.tools.sql.rows import Rows
from aiostream_server.tools.sql.schema import Schema
from aiostream_server.tools.sql.sqlite import SQLiteWalls
from aiostream_server.tools.sql.urls import dialect_of, normalise_url
from aiostream_server.tools.sql.verdict import Approved, Verdict
from aiostream_server.tools.sql.walls import Walls, Watch

T = TypeVar("T")

SCHEMA_LIFETIME_S: Final = 60.0
_GRACE_S: Final = 1.0  # the database ends a late statement itself; past this we do
_STOP_TIMEOUT_S: Final = 5.0
_LONG_CHARS: Final = 500  # to judge a thousand takes 10 ms, in which nobody else would be served
_LOST: Final = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError, OSError)
# SQLAlchemy lets asyncpg's own errors through while it connects and while it reads from a cursor; and asyncpg raises a
# TypeError for a parameter in the URL that it does not know, a ValueError for a date that Python has not (44 BC).
_ASKING_ERRORS: Final = (
    *(SQLAlchemyError, sqlite3.Error, sqlite3.Warning, asyncpg.PostgresError, asyncpg.InterfaceError),
    *(OSError, TypeError, ValueError),
)


class Database:
    """Opened by `Database.open`, shared by every run, closed once. Bears concurrent queries."""

    def __init__(
        self, name: str, config: DatabaseConfig, dialect: DialectName, walls: Walls, *, schema_lifetime_s: float
    ) -> None:
        self.name: Final = name
        self.description: Final = config.description
        self.dialect: Final = dialect
        self._walls: Final = walls
        self._caps: Final = Caps(config.row_limit, config.byte_limit)
        self._timeout_s: Final = config.statement_timeout_s
        self._schema_lifetime_s: Final = schema_lifetime_s
        self._schema_lock: Final = asyncio.Lock()
        self._schema = Schema(dialect, ())
        self._schema_read_at = -float("inf")
        self._guard = Guard(dialect, ())

    @classmethod
    async def open(cls, name: str, config: DatabaseConfig, *, schema_lifetime_s: float = SCHEMA_LIFETIME_S) -> Self:
        """Connect and read the schema. Raise `DatabaseUnreachable` where the URL is not one, or nothing answers."""
        url = normalise_url(config.resolved_url.get_secret_value())
        dialect = dialect_of(url)
        open_walls = SQLiteWalls if dialect == "sqlite" else PostgresWalls
        walls: Walls = open_walls(url, timeout_s=config.statement_timeout_s)
        database = cls(name, config, dialect, walls, schema_lifetime_s=schema_lifetime_s)
        try:
            await database.schema()
        except BaseException as exc:
            await walls.close()
            if isinstance(exc, QueryFailed):
                raise database._unreachable(exc) from exc
            raise
        return database

    @property
    def guard(self) -> Guard:
        """Judges statements by the schema that was read last, however long ago: `check` is the way to ask it."""
        return self._guard

    async def check(self, sql: str) -> Verdict:
        """The guard's verdict by a schema that is at most `schema_lifetime_s` old.

        Never raises: where the schema cannot be read now, the last one counts, and `query` will say what is wrong.
        """
        with suppress(QueryFailed, DatabaseUnreachable):
            await self.schema()
        if len(sql) < _LONG_CHARS:
            return self._guard.check(sql)
        return await asyncio.to_thread(self._guard.check, sql)

    async def schema(self) -> Schema:
        """What there is to ask, at most `schema_lifetime_s` old."""
        async with self._schema_lock:
            if time.monotonic() - self._schema_read_at >= self._schema_lifetime_s:
                home, self._schema = await self._reflect()
                self._guard = self._guard.for_tables([table.name for table in self._schema.tables], schema=home)
                self._schema_read_at = time.monotonic()
            return self._schema

    async def query(self, approved: Approved) -> Rows:
        """Run what this database's guard approved.

        Raise `QueryFailed` or `DatabaseUnreachable`; `TypeError` for anything that the guard did not approve.
        """
        if not self._guard.vouches_for(approved):
            raise TypeError("only a statement that this database's own guard approved can run")
        return await self._run(approved.sql)

    async def ask(self, sql: str) -> Rows:
        """Judge a statement that anybody may have written, and run what was approved.

        Raise `QueryFailed`, for what was not approved, too, or `DatabaseUnreachable`.
        """
        verdict = await self.check(sql)
        if not isinstance(verdict, Approved):
            raise QueryFailed(f"not run: {verdict.reason}")
        return await self.query(verdict)

    async def close(self) -> None:
        await self._walls.close()

    # Below the guard

    async def _run(self, sql: str) -> Rows:
        async def run(watch: Watch) -> Rows:
            return await self._ask(self._walls.connect(watch), watch, lambda on: self._answer(on, sql))

        return await self._supervised(run)

    async def _answer(self, connection: AsyncConnection, sql: str) -> Rows:
        async with self._walls.ask(connection, sql) as answer:
            return await fetch(answer, self._caps)

    async def _reflect(self) -> tuple[str | None, Schema]:
        async def run(watch: Watch) -> tuple[str | None, Schema]:
            opened = self._walls.connect_for_schema(watch)
            return await self._ask(opened, watch, lambda on: on.run_sync(reflect, self.dialect))

        return await self._supervised(run)

    async def _ask(
        self,
        opened: AbstractAsyncContextManager[AsyncConnection],
        watch: Watch,
        read: Callable[[AsyncConnection], Awaitable[T]],
    ) -> T:
        reached = False
        try:
            async with opened as connection:
                reached = True
                return await read(connection)
        except _ASKING_ERRORS as exc:
            if not reached or _is_lost(exc):
                raise self._unreachable(exc) from exc
            raise self._late() if watch.is_late else QueryFailed(one_line(exc)) from exc

    async def _supervised(self, work: Callable[[Watch], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, whose statement is stopped, and waited for, when it is late or nobody waits for it."""
        watch = Watch(self._timeout_s)
        task = asyncio.create_task(work(watch))
        try:
            async with asyncio.timeout(self._timeout_s + _GRACE_S):
                return await asyncio.shield(task)
        except TimeoutError as exc:
            raise self._late() from exc
        finally:
            if not task.done():
                watch.stop()
                task.cancel()
                await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S)

    def _late(self) -> QueryFailed:
        return QueryFailed(f"the statement took longer than {self._timeout_s:g} s and was stopped")

    def _unreachable(self, error: BaseException) -> DatabaseUnreachable:
        return DatabaseUnreachable(f"the database {self.name!r} cannot be reached: {one_line(error)}")


def _is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, and not just the statement refused."""
    cause: BaseException | None = error  # asyncpg's own error stands behind two others
    while cause is not None and not isinstance(cause, _LOST):
        cause = cause.__cause__
    return cause is not None or (isinstance(error, DBAPIError) and error.connection_invalidated)
