"""PostgreSQL's walls: every session is read-only and timed by the server, every transaction READ ONLY.

https://www.postgresql.org/docs/current/runtime-config-client.html; the role should have no right to write besides.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

import asyncpg
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from aiostream_server.tools.sql.cells import MAX_CELL_CHARS
from aiostream_server.tools.sql.clipped import ResultColumn, clip_in_server
from aiostream_server.tools.sql.errors import QueryFailed
from aiostream_server.tools.sql.walls import Watch

_CONNECT_TIMEOUT_S: Final = 10.0
_SKIP_TIMEOUT_S: Final = 0.5
_POOL_SIZE: Final = 5
_LOCK_TIMEOUT_S: Final = 2.0


class PostgresWalls:
    def __init__(self, url: URL, *, timeout_s: float) -> None:
        settings = {
            "application_name": "aiostream-server",
            "default_transaction_read_only": "on",
            "statement_timeout": _milliseconds(timeout_s),
            "lock_timeout": _milliseconds(min(timeout_s, _LOCK_TIMEOUT_S)),
            "idle_in_transaction_session_timeout": _milliseconds(2 * timeout_s),
            "standard_conforming_strings": "on",  # the guard reads a backslash as a backslash
        }
        self._engine: Final = create_async_engine(
            url,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_timeout=_CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"timeout": _CONNECT_TIMEOUT_S, "server_settings": settings},
            execution_options={"postgresql_readonly": True},
        )

    @asynccontextmanager
    async def connect(self, watch: Watch) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    connect_for_schema = connect

    @asynccontextmanager
    async def ask(self, connection: AsyncConnection, sql: str) -> AsyncIterator["_PostgresAnswer"]:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)  # noqa: S101 - the pool's type says only "something"
        # The driver's own cursor: SQLAlchemy's reads fifty rows whatever it is asked for.
        async with driver.transaction(readonly=True):
            columns = _result_columns(await driver.prepare(sql))
            if not columns:
                raise QueryFailed.no_question()
            yield _PostgresAnswer(await driver.cursor(clip_in_server(sql, columns)), columns)

    async def close(self) -> None:
        await self._engine.dispose()


class _PostgresAnswer:
    def __init__(self, cursor: asyncpg.cursor.Cursor, columns: Sequence[ResultColumn]) -> None:
        self._cursor = cursor
        self._are_numeric = [column.type == "numeric" for column in columns]
        self.columns = tuple(column.name for column in columns)

    async def read(self, count: int) -> list[tuple[object, ...]]:
        return [tuple(self._values(record)) for record in await self._cursor.fetch(count)]

    async def skip(self, count: int) -> int | None:
        try:
            skipped: int = await self._cursor.forward(count, timeout=_SKIP_TIMEOUT_S)
        except TimeoutError:
            return None
        return skipped

    def _values(self, record: Iterable[object]) -> Iterable[object]:
        for value, is_numeric in zip(record, self._are_numeric, strict=True):
            came_whole = isinstance(value, str) and len(value) <= MAX_CELL_CHARS
            yield Decimal(str(value)) if is_numeric and came_whole else value


def _result_columns(statement: asyncpg.prepared_stmt.PreparedStatement) -> list[ResultColumn]:
    """What the statement would give, without running it."""
    return [
        ResultColumn(found.name, found.type.name if found.type.schema == "pg_catalog" else "")
        for found in statement.get_attributes()
    ]


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would mean no limit
