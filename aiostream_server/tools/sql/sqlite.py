"""SQLite: the file is opened read-only, an authorizer limits what a statement may use, a progress handler ends it.

Each statement gets a connection, and so a thread, of its own, and no state remains after it.
https://www.sqlite.org/security.html
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiosqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from aiostream_server.tools.sql.allow_list import FUNCTIONS
from aiostream_server.tools.sql.backend import StatementDeadline
from aiostream_server.tools.sql.cells import clip
from aiostream_server.tools.sql.errors import NO_ROWS, DatabaseUnreachable, QueryFailed

_SKIP_STEP: Final = 100
_SKIP_TIMEOUT_S: Final = 0.5
_STEPS_BETWEEN_CHECKS: Final = 1_000  # virtual-machine steps: well under a millisecond
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1024**2,  # of one value: bounds group_concat
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 64 * 1024,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 10,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
_OPERATORS: Final = {
    "like",
    "glob",
    "->",
    "->>",
    "current_date",
    "current_timestamp",
}  # SQLite's authorizer calls them functions
_CALLABLE: Final = FUNCTIONS["sqlite"] | _OPERATORS


class _ReadOnlyConnection(sqlite3.Connection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for limit, value in _LIMITS.items():
            self.setlimit(limit, value)
        self.execute("PRAGMA query_only = ON")
        self.execute("PRAGMA trusted_schema = OFF")
        # Declares the two, which the authorizer would not allow later.
        self.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").close()


class SQLiteBackend:
    """A `Backend` for one file. Raises `DatabaseUnreachable` where the URL names no file."""

    def __init__(self, url: URL, *, timeout_s: float) -> None:
        uri = read_only_uri(url)

        async def connect() -> aiosqlite.Connection:
            # aiosqlite leaves its thread running where the connection cannot be opened, so try that first.
            await asyncio.to_thread(_try_to_open, uri, timeout_s)
            return await aiosqlite.connect(uri, uri=True, timeout=timeout_s, factory=_ReadOnlyConnection)

        self._engine: Final = create_async_engine(url, async_creator=connect, poolclass=NullPool)

    @asynccontextmanager
    async def connect(self, deadline: StatementDeadline) -> AsyncIterator[AsyncConnection]:
        async with self.connect_for_schema(deadline) as connection:
            driver = await _driver_of(connection)
            driver.text_factory = _clipped_text
            await driver.set_authorizer(_authorize)
            yield connection

    @asynccontextmanager
    async def execute(self, connection: AsyncConnection, sql: str) -> AsyncIterator["_SQLiteCursor"]:
        driver = await _driver_of(connection)
        async with driver.execute(sql) as cursor:
            if cursor.description is None:
                raise QueryFailed(NO_ROWS)
            yield _SQLiteCursor(driver, cursor, (name for name, *_ in cursor.description))

    @asynccontextmanager
    async def connect_for_schema(self, deadline: StatementDeadline) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            driver = await _driver_of(connection)
            driver.text_factory = _readable_text
            await driver.set_progress_handler(deadline.is_over, _STEPS_BETWEEN_CHECKS)
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


class _SQLiteCursor:
    def __init__(self, driver: aiosqlite.Connection, cursor: aiosqlite.Cursor, columns: Iterable[str]) -> None:
        self._driver = driver
        self._cursor = cursor
        self.columns = tuple(columns)

    async def read(self, count: int) -> list[tuple[object, ...]]:
        return [tuple(map(_as_in_the_shell, row)) for row in await self._cursor.fetchmany(count)]

    async def skip(self, count: int) -> int | None:
        skipped = 0
        try:
            async with asyncio.timeout(_SKIP_TIMEOUT_S):
                while skipped < count and (rows := await self.read(min(_SKIP_STEP, count - skipped))):
                    skipped += len(rows)
        except TimeoutError:
            await self._driver.interrupt()  # otherwise its thread keeps reading
            return None
        return skipped


def read_only_uri(url: URL) -> str:
    """The `file:` URI that opens the URL's file read-only: https://www.sqlite.org/uri.html"""
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseUnreachable("a sqlite:// URL must name a file: sqlite:///relative.db or sqlite:////absolute.db")
    return f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"


async def _driver_of(connection: AsyncConnection) -> aiosqlite.Connection:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)  # noqa: S101 - the pool types it as object
    return driver


def _readable_text(utf8: bytes) -> str:
    return utf8.decode(errors="replace")  # SQLite stores whatever bytes a program gives it as text


def _clipped_text(utf8: bytes) -> str:
    return clip(_readable_text(utf8))


def _as_in_the_shell(value: object) -> object:
    """SQLite computes with 17 digits and writes 15: 0.1 + 0.2 is 0.3."""
    return float(format(value, ".15g")) if isinstance(value, float) else value


def _try_to_open(uri: str, timeout_s: float) -> None:
    with closing(sqlite3.connect(uri, uri=True, timeout=timeout_s)) as connection:
        connection.execute("PRAGMA schema_version")


def _authorize(action: int, first: str | None, second: str | None, _schema: str | None, _via: str | None) -> int:
    """SQLite calls this while it compiles a statement: https://www.sqlite.org/c3ref/c_alter_table.html"""
    match action:
        case sqlite3.SQLITE_SELECT:
            allowed = True
        case sqlite3.SQLITE_READ:
            allowed = first is not None and not first.lower().startswith("sqlite_")
        case sqlite3.SQLITE_FUNCTION:
            allowed = second is not None and second.lower() in _CALLABLE
        case _:
            allowed = False
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
