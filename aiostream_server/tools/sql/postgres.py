"""PostgreSQL: transactions are read-only, the server itself times statements and clips long values.

Values that are no plain numbers are cast to text by the server, so they read as in `psql`, in the session's time zone.
In addition, the role in the URL should have no right to write.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final, NamedTuple

import asyncpg
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from aiostream_server.tools.sql.backend import StatementDeadline
from aiostream_server.tools.sql.cells import MAX_BINARY_BYTES, MAX_CELL_CHARS
from aiostream_server.tools.sql.errors import NO_ROWS, QueryFailed
from aiostream_server.tools.sql.postgres_connections import PostgresConnections
from aiostream_server.tools.sql.postgres_plan import SMALL_TABLES, GathersTooMuch, check_plan, scanned, working_nodes

_SKIP_TIMEOUT_S: Final = 0.5
_GATHERED_PART: Final = 4  # of a statement's memory: a gathered value is copied, and written out as text
_FEW_NODES: Final = 8  # of a plan, which may use `work_mem` each
_LESS_WORK_MEM: Final = """
    SELECT set_config('work_mem', least(setting::bigint, {kib})::text, true) FROM pg_settings WHERE name = 'work_mem'
"""
_FIXED_SIZE: Final = frozenset(("bool", "int2", "int4", "int8", "oid", "float8", "inet", "cidr"))
_READ_FROM_TEXT: Final[Mapping[str, Callable[[str], object]]] = {"numeric": Decimal, "float4": float}


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
            yield PostgresSession(driver, mark, self._memory_bytes)

    @asynccontextmanager
    async def connect_for_schema(self, deadline: StatementDeadline) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            version = (connection.dialect.server_version_info or (0,))[0]
            await connection.exec_driver_sql(self._connections.limits(int(version)))
            yield connection

    async def close(self) -> None:
        await self._connections.close()
        await self._engine.dispose()


class PostgresSession:
    """Uses the driver's own cursor, because SQLAlchemy's reads at least fifty rows."""

    def __init__(self, driver: asyncpg.Connection, mark: str, memory_bytes: int) -> None:
        self.driver: Final = driver
        self._mark: Final = mark
        self._memory_bytes: Final = memory_bytes

    @asynccontextmanager
    async def execute(self, sql: str, row_limit: int) -> AsyncIterator["_PostgresCursor"]:
        del row_limit
        columns = _result_columns(await self.driver.prepare(f"{self._mark}{sql}"))
        if not columns:
            raise QueryFailed(NO_ROWS)
        await self._bound_memory(sql)
        statement = await self.driver.prepare(f"{self._mark}{_clip_in_server(sql, columns)}")
        yield _PostgresCursor(await statement.cursor(), columns)

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


class _ResultColumn(NamedTuple):
    """`type` is the name of a type in `pg_catalog`, empty for a user-defined type."""

    name: str
    type: str


class _PostgresCursor:
    def __init__(self, cursor: asyncpg.cursor.Cursor, columns: Sequence[_ResultColumn]) -> None:
        self._cursor = cursor
        self._readers = [_READ_FROM_TEXT.get(column.type) for column in columns]
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
        for value, read in zip(record, self._readers, strict=True):
            came_whole = isinstance(value, str) and len(value) <= MAX_CELL_CHARS
            yield read(str(value)) if read is not None and came_whole else value


def _result_columns(statement: asyncpg.prepared_stmt.PreparedStatement) -> list[_ResultColumn]:
    """The columns of a prepared statement, which has not run yet."""
    return [
        _ResultColumn(found.name, found.type.name if found.type.schema == "pg_catalog" else "")
        for found in statement.get_attributes()
    ]


def _clip_in_server(sql: str, columns: Sequence[_ResultColumn]) -> str:
    """Wrap `sql`, a prepared SELECT with these columns, in a SELECT that clips long values as `cells.clip` does.

    Without it, one `array_agg` over a cross join sends hundreds of megabytes, which the driver decodes in the event
    loop. Plain numbers stay as they are, a long `bytea` becomes its length, all other types become text. PostgreSQL
    keeps the row order: it does not reorder what a projection reads from an ordered subquery.
    """
    names = [f"c{number}" for number in range(1, len(columns) + 1)]
    written = [_as_text(name, column.type) for name, column in zip(names, columns, strict=True)]
    shown = [_clipped(name, column.type) for name, column in zip(names, columns, strict=True)]
    # OFFSET 0 keeps the planner from merging the subqueries, so that each value is computed and cast to text once.
    inside = f"SELECT {', '.join(written)} FROM (\n{sql}\n) AS approved ({', '.join(names)}) OFFSET 0"  # noqa: S608
    return f"SELECT {', '.join(shown)} FROM ({inside}) AS written"  # noqa: S608


def _as_text(name: str, kind: str) -> str:
    if kind in _FIXED_SIZE:
        return name
    if kind == "bytea":
        length = f"octet_length({name})"
        short = f"'\\x' || encode({name}, 'hex')"
        return f"CASE WHEN {length} > {MAX_BINARY_BYTES} THEN '(' || {length} || ' bytes)' ELSE {short} END AS {name}"
    return f"CAST({name} AS text) AS {name}"


def _clipped(name: str, kind: str) -> str:
    if kind in _FIXED_SIZE:
        return name
    clip = f"length({name}) || ':' || left({name}, {MAX_CELL_CHARS})"
    return f"CASE WHEN length({name}) > {MAX_CELL_CHARS} THEN {clip} ELSE {name} END"
