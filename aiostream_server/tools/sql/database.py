"""One configured database: its schema, its guard, and the rows of approved statements.

`ask` is the only way to the rows: a statement runs after this database's guard has approved it. It runs read-only,
within limits of time, rows and bytes. Cancelling the task that waits for the rows stops the statement too, in the
server or in SQLite's thread.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from typing import Final, Self, TypeVar

import asyncpg
import structlog
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.config.postgres_url import with_plain_host
from aiostream_server.tools.sql.backend import Backend, Catalog, Session, StatementDeadline
from aiostream_server.tools.sql.cells import MAX_CELL_CHARS
from aiostream_server.tools.sql.csv_file import MAX_FILE_CHARS, CsvFile
from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed, StatementLate, driver_message
from aiostream_server.tools.sql.guard import Approved, Guard, Verdict
from aiostream_server.tools.sql.postgres import PostgresBackend
from aiostream_server.tools.sql.quotients import NO_QUOTIENTS
from aiostream_server.tools.sql.rows import Rows, fetch
from aiostream_server.tools.sql.schema import NO_RIGHT, Schema, Skipped
from aiostream_server.tools.sql.schema_choice.asked_so_far import AskedSoFar
from aiostream_server.tools.sql.schema_choice.chooser import SchemaChooser
from aiostream_server.tools.sql.sqlite import SQLiteBackend
from aiostream_server.tools.sql.unreachable import LOST_MESSAGE, is_lost, why_unreachable

T = TypeVar("T")
C = TypeVar("C")
_log: Final = structlog.get_logger()

SCHEMA_LIFETIME_S: Final = 60.0
_SAMPLES_LIFETIMES: Final = 30
_SCHEMA_GRACE_S: Final = 1.0
_GRACE_S: Final = 0.3  # the database ends a late statement itself; after this the server cancels it
_STOP_TIMEOUT_S: Final = 5.0
_LONG_CHARS: Final = 500  # checking 1,000 characters takes 10 ms, which would block the event loop
_SCHEMES: Final[dict[str, DialectName]] = {"sqlite": "sqlite", "postgres": "postgres", "postgresql": "postgres"}
_DRIVERS: Final[dict[DialectName, str]] = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg"}
# SQLAlchemy does not wrap asyncpg's errors while it connects and while it reads from a cursor. asyncpg raises a
# TypeError for an unknown parameter in the URL, and a ValueError for a date that Python cannot hold (44 BC).
_DRIVER_ERRORS: Final = (
    *(SQLAlchemyError, sqlite3.Error, sqlite3.Warning, asyncpg.PostgresError, asyncpg.InterfaceError),
    *(asyncpg.InternalClientError, OSError, TypeError, ValueError),
)


class Database:
    """Opened by `Database.open`, shared by all runs, closed once. Supports concurrent queries."""

    def __init__(self, name: str, config: DatabaseConfig, *, schema_lifetime_s: float = SCHEMA_LIFETIME_S) -> None:
        url = normalise_url(config.resolved_url.get_secret_value())
        self.name: Final = name
        self.description: Final = config.description
        self.result_bytes: Final = config.result_bytes
        self.dialect: Final = _dialect_of(url)
        self._url: Final = url
        try:
            self._backend: Final = _backend(url, config)
        except ValueError as exc:
            raise self._unreachable(exc) from exc
        self._config: Final = config
        self._timeout_s: Final = config.statement_timeout_s
        self._slots: Final = asyncio.Semaphore(config.max_statements)
        self._told: Final[set[str]] = set()
        self._schema_lifetime_s: Final = schema_lifetime_s
        self._schema_lock: Final = asyncio.Lock()
        self._schema = Schema(self.dialect, ())
        self._schema_checked_at = self._schema_read_at = -float("inf")
        self._stamp = ""
        self._guard = Guard(self._schema)
        self._chooser = SchemaChooser(self._schema, config.schema_tokens)

    @classmethod
    async def open(cls, name: str, config: DatabaseConfig, *, schema_lifetime_s: float = SCHEMA_LIFETIME_S) -> Self:
        """Connect and read the schema. Raises `DatabaseUnreachable` where the URL is invalid or nothing answers."""
        database = cls(name, config, schema_lifetime_s=schema_lifetime_s)
        try:
            await database.schema()
        except BaseException as exc:
            await database.close()
            if isinstance(exc, QueryFailed):
                raise database._unreachable(exc) from exc
            raise
        return database

    async def check(self, sql: str) -> Verdict:
        """The guard's verdict, with a schema that is at most `schema_lifetime_s` old.

        Never raises: where the schema cannot be read now, the last one is used, and `ask` raises the error.
        """
        with suppress(QueryFailed, DatabaseUnreachable):
            await self.schema()
        if len(sql) < _LONG_CHARS:
            return self._guard.check(sql)
        return await asyncio.to_thread(self._guard.check, sql)

    async def schema(self) -> Schema:
        """The database's schema, at most `schema_lifetime_s` old."""
        async with self._schema_lock:
            if time.monotonic() - self._schema_checked_at >= self._schema_lifetime_s:
                found = await self._supervised(self._backend.open_catalog, self._read_if_changed, _SCHEMA_GRACE_S)
                if found is not None:
                    stamp, schema = found
                    await self._use(schema)
                    self._stamp, self._schema_read_at = stamp, time.monotonic()
                self._schema_checked_at = time.monotonic()
            return self._schema

    @property
    def is_large(self) -> bool:
        """Whether the schema, as it was last read, is larger than `schema_tokens`."""
        return not self._chooser.is_whole

    async def describe(self, conversation: AskedSoFar, tool: str) -> str:
        """The schema; of a large one the tables for the conversation. `tool` is the agent's name for `find_tables`."""
        await self.schema()
        return await asyncio.to_thread(self._chooser.describe, conversation, tool)

    async def find_tables(self, wanted: Sequence[str], tool: str) -> str:
        """The tables of these names, shell patterns or words, as far as they fit into `schema_tokens`."""
        await self.schema()
        return await asyncio.to_thread(self._chooser.find, wanted, tool)

    async def summary(self) -> str:
        """`schema sales: 7 tables`; of a large schema, also how much of it a question gets."""
        text = (await self.schema()).summary()
        if not self.is_large:
            return text
        tokens, budget = self._chooser.tokens, self._config.schema_tokens
        return f"{text}; about {tokens} tokens, of which agents read the {budget} that fit a question (schema_tokens)"

    async def ask(self, sql: str, file: CsvFile | None = None) -> Rows:
        """Check an untrusted statement, and run it where the guard approves it. All its rows are written to `file`.

        Raises `QueryFailed`, also for a blocked statement, or `DatabaseUnreachable`.
        """
        verdict = await self.check(sql)
        if not isinstance(verdict, Approved):
            raise QueryFailed(f"not run: {verdict.reason}")
        return await self._run(verdict.sql, verdict, file)

    async def close(self) -> None:
        await self._backend.close()

    async def _read_if_changed(self, catalog: Catalog) -> tuple[str, Schema] | None:
        """The schema with its stamp; None if nothing has changed. Values change unseen, so it is read now and then."""
        stamp = await catalog.stamp()
        age_s = time.monotonic() - self._schema_read_at
        if stamp == self._stamp and age_s < _SAMPLES_LIFETIMES * self._schema_lifetime_s:
            return None
        return stamp, await catalog.read(self._config.schemas, self._config.tables)

    async def _use(self, found: Schema) -> None:
        self._tell_skipped(found.skipped)
        timezone = self._config.timezone or found.timezone
        schema = replace(found, about=self.description, notes=self._config.notes, timezone=timezone)
        self._chooser = await asyncio.to_thread(SchemaChooser, schema, self._config.schema_tokens)
        self._schema, self._guard = schema, Guard(schema)

    def _tell_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Warn once of each that cannot be read for another reason than the role's rights."""
        for each in skipped:
            if each.reason != NO_RIGHT and each.name not in self._told:
                self._told.add(each.name)
                _log.warning("table_skipped", database=self.name, table=each.name, reason=each.reason)

    # Below the guard

    async def _run(self, sql: str, approved: Approved | None = None, file: CsvFile | None = None) -> Rows:
        limits = self._config.row_limit, self._config.byte_limit
        value_chars = MAX_CELL_CHARS if file is None else MAX_FILE_CHARS

        async def read(session: Session) -> Rows:
            async with session.execute(sql, self._config.row_limit, value_chars) as cursor:
                quotients = NO_QUOTIENTS if approved is None else approved.quotients
                places = quotients.places(cursor.columns, self._config.decimal_places)
                return await fetch(cursor, limits, places, file, session.deadline)

        try:
            async with asyncio.timeout(self._timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            raise QueryFailed("too many queries run at once on this database; try again in a moment") from None
        try:
            return await self._supervised(self._backend.connect, read, _GRACE_S)
        finally:
            self._slots.release()

    async def _supervised(
        self,
        connect: Callable[[StatementDeadline], AbstractAsyncContextManager[C]],
        read: Callable[[C], Awaitable[T]],
        grace_s: float,
    ) -> T:
        """The result of `read`. Stops its statement, and waits for its end, on a timeout and on cancellation."""
        deadline = StatementDeadline(self._timeout_s)
        task = asyncio.create_task(self._with_connection(connect(deadline), deadline, read))
        try:
            async with asyncio.timeout(self._timeout_s + grace_s):
                return await asyncio.shield(task)
        except TimeoutError as exc:
            raise self._late() from exc
        finally:
            if not task.done():
                deadline.stop()
                task.cancel()
                await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S)

    async def _with_connection(
        self,
        opened: AbstractAsyncContextManager[C],
        deadline: StatementDeadline,
        read: Callable[[C], Awaitable[T]],
    ) -> T:
        reached = False
        try:
            async with opened as connection:
                reached = True
                return await read(connection)
        except StatementLate as exc:
            raise self._late() from exc
        except _DRIVER_ERRORS as exc:
            if not reached:
                raise self._unreachable(exc) from exc
            if deadline.is_late:
                raise self._late() from exc
            if is_lost(exc):
                raise DatabaseUnreachable(f"the database {self.name!r}: {LOST_MESSAGE}") from exc
            raise QueryFailed(driver_message(exc)) from exc

    def _late(self) -> QueryFailed:
        return QueryFailed(f"the statement took longer than {self._timeout_s:g} s and was stopped")

    def _unreachable(self, error: BaseException) -> DatabaseUnreachable:
        return DatabaseUnreachable(f"the database {self.name!r} cannot be reached: {why_unreachable(error, self._url)}")


def _backend(url: URL, config: DatabaseConfig) -> Backend:
    memory_bytes = config.statement_memory_bytes
    if _dialect_of(url) == "sqlite":
        return SQLiteBackend(url, timeout_s=config.statement_timeout_s, memory_bytes=memory_bytes)
    return PostgresBackend(
        url, timeout_s=config.statement_timeout_s, memory_bytes=memory_bytes, timezone=config.timezone
    )


def normalise_url(text: str) -> URL:
    """A URL as users write it, with the asyncio driver: `sqlite:///shop.db`, `postgres://...`, `postgresql://...`.

    Raises `DatabaseUnreachable`. The message never contains the URL, which may hold a password.
    """
    try:
        url = make_url(with_plain_host(text))
    except (ArgumentError, ValueError) as exc:
        raise DatabaseUnreachable("not a database URL; write sqlite:///file or postgresql://user@host/name") from exc
    return url.set(drivername=_DRIVERS[_dialect_of(url)])


def _dialect_of(url: URL) -> DialectName:
    scheme = url.drivername.partition("+")[0]
    if scheme not in _SCHEMES:
        raise DatabaseUnreachable(f"{scheme}:// databases cannot be asked; sqlite:// and postgresql:// can")
    return _SCHEMES[scheme]
