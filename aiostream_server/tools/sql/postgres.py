"""PostgreSQL: transactions are read-only, the server itself times statements and clips long values.

In addition, the role in the URL should have no right to write.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aiostream_server.tools.sql.backend import StatementDeadline
from aiostream_server.tools.sql.errors import NO_ROWS, QueryFailed
from aiostream_server.tools.sql.postgres_connections import PostgresConnections
from aiostream_server.tools.sql.postgres_plan import SMALL_TABLES, GathersTooMuch, check_plan, scanned, working_nodes
from aiostream_server.tools.sql.postgres_values import ResultColumn, clip_in_server, reader, result_columns, size_limits
from aiostream_server.tools.sql.reflection.of_postgres import PostgresCatalog

_SKIP_TIMEOUT_S: Final = 0.5
_GATHERED_PART: Final = 4  # of a statement's memory: a gathered value is copied, and written out as text
_FEW_NODES: Final = 8  # of a plan, which may use `work_mem` each
_LESS_WORK_MEM: Final = """
    SELECT set_config('work_mem', least(setting::bigint, {kib})::text, true) FROM pg_settings WHERE name = 'work_mem'
"""


class PostgresBackend:
    """A `Backend`. Raises `ValueError` for parameters of the URL that cannot be followed."""

    def __init__(self, url: URL, *, timeout_s: float, memory_bytes: int, timezone: str | None = None) -> None:
        self._memory_bytes: Final = memory_bytes
        self._connections: Final = PostgresConnections(url, timeout_s=timeout_s, timezone=timezone)
        self._engine: Final = create_async_engine(  # for the schema, which is read once a minute
            "postgresql+asyncpg://",
            poolclass=NullPool,
            connect_args={**self._connections.arguments, "prepared_statement_cache_size": 0},
            execution_options={"postgresql_readonly": True},
        )

    @asynccontextmanager
    async def connect(self, deadline: StatementDeadline) -> AsyncIterator["PostgresSession"]:
        async with self._connections.transaction(deadline) as (driver, mark):
            yield PostgresSession(driver, mark, deadline, self._memory_bytes)

    @asynccontextmanager
    async def open_catalog(self, deadline: StatementDeadline) -> AsyncIterator[PostgresCatalog]:
        async with self._engine.connect() as connection:
            self._connections.was_reached = True
            version = (connection.dialect.server_version_info or (0,))[0]
            await connection.exec_driver_sql(self._connections.limits(int(version)))
            yield PostgresCatalog(connection)

    async def close(self) -> None:
        await self._connections.close()
        await self._engine.dispose()


class PostgresSession:
    """Uses the driver's own cursor, because SQLAlchemy's reads at least fifty rows."""

    def __init__(self, driver: asyncpg.Connection, mark: str, deadline: StatementDeadline, memory_bytes: int) -> None:
        self.driver: Final = driver
        self.deadline: Final = deadline
        self._mark: Final = mark
        self._memory_bytes: Final = memory_bytes

    @asynccontextmanager
    async def execute(self, sql: str, row_limit: int, value_chars: int) -> AsyncIterator["_PostgresCursor"]:
        del row_limit
        columns = result_columns(await self.driver.prepare(f"{self._mark}{sql}"))
        if not columns:
            raise QueryFailed(NO_ROWS)
        await self._bound_memory(sql)
        value_chars, step = size_limits(columns, value_chars)
        statement = await self.driver.prepare(f"{self._mark}{clip_in_server(sql, columns, value_chars)}")
        yield _PostgresCursor(await statement.cursor(), columns, value_chars, step)

    async def _bound_memory(self, sql: str) -> None:
        """Raises `QueryFailed` where the statement would need too much memory."""
        explained = await self.driver.fetchval(f"{self._mark}EXPLAIN (FORMAT JSON, VERBOSE) {sql}")
        plan, gathered = json.loads(explained)[0]["Plan"], self._memory_bytes // _GATHERED_PART
        try:
            check_plan(sql, plan, gathered, {})
        except GathersTooMuch:
            names = [name for _, name in scanned(plan)]
            found = await self.driver.fetch(f"{self._mark}{SMALL_TABLES}", names)
            check_plan(sql, plan, gathered, {(schema, name): pages for schema, name, pages in found})
        if (nodes := working_nodes(plan)) > _FEW_NODES:
            await self.driver.execute(_LESS_WORK_MEM.format(kib=max(64, self._memory_bytes // nodes >> 10)))


class _PostgresCursor:
    def __init__(
        self, cursor: asyncpg.cursor.Cursor, columns: Sequence[ResultColumn], value_chars: int, step: int
    ) -> None:
        self._cursor = cursor
        self._readers = [reader(column.type, value_chars) for column in columns]
        self.columns = tuple(column.name for column in columns)
        self.types = tuple(column.title for column in columns)
        self.step = step

    async def read(self, count: int) -> list[tuple[object, ...]]:
        return [tuple(self._values(record)) for record in await self._cursor.fetch(count)]

    async def skip(self, count: int) -> int | None:
        try:
            skipped: int = await self._cursor.forward(count, timeout=_SKIP_TIMEOUT_S)
        except TimeoutError:
            return None
        return skipped

    def _values(self, record: Iterable[object]) -> Iterable[object]:
        for value, read in zip(record, self._readers, strict=True):
            yield value if read is None or value is None else read(str(value))
