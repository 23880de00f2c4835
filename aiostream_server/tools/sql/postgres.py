"""PostgreSQL: sessions and transactions are read-only, the server itself times statements and clips long values.

Values that are no plain numbers are cast to text by the server, so they read as in `psql`, in the session's time zone.
In addition, the role in the URL should have no right to write.
https://www.postgresql.org/docs/current/runtime-config-client.html
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final, NamedTuple

import asyncpg
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from aiostream_server.config.postgres_url import read_parameters
from aiostream_server.tools.sql.backend import StatementDeadline
from aiostream_server.tools.sql.cells import MAX_BINARY_BYTES, MAX_CELL_CHARS, Binary, Clipped
from aiostream_server.tools.sql.errors import NO_ROWS, QueryFailed

_CONNECT_TIMEOUT_S: Final = 10.0
_SKIP_TIMEOUT_S: Final = 0.5
_POOL_SIZE: Final = 5
_LOCK_TIMEOUT_S: Final = 2.0
_MAX_STEP: Final = 256  # rows
_MAX_STEP_CHARS: Final = 1024**2
_FIXED_SIZE: Final = frozenset(("bool", "int2", "int4", "int8", "oid", "float8"))
_SHORT: Final = frozenset(
    (*_FIXED_SIZE, "float4", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "money", "inet")
)
_CAST_DIFFERS: Final = frozenset(("bpchar", "inet"))
"""Types whose cast to text is not their output: it takes blanks away, or adds a netmask."""
_READ_FROM_TEXT: Final[Mapping[str, Callable[[str], object]]] = {"numeric": Decimal, "float4": float}
_TITLES: Final[Mapping[str, str]] = {
    "bool": "boolean",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bpchar": "character",
    "varchar": "character varying",
    "varbit": "bit varying",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}
"""As `format_type` names them, where that is not the type's own name."""


class PostgresBackend:
    """A `Backend` with a connection pool. Raises `ValueError` for parameters of the URL that cannot be followed."""

    def __init__(self, url: URL, *, timeout_s: float, timezone: str | None = None) -> None:
        read = read_parameters(url.query)
        settings = {
            "application_name": "aiostream-server",
            **read.settings,
            "datestyle": "ISO",
            **({} if timezone is None else {"timezone": timezone}),
            "default_transaction_read_only": "on",
            "statement_timeout": _milliseconds(timeout_s),
            "lock_timeout": _milliseconds(min(timeout_s, _LOCK_TIMEOUT_S)),
            "idle_in_transaction_session_timeout": _milliseconds(2 * timeout_s),
            "standard_conforming_strings": "on",  # the guard parses string literals without backslash escapes
        }
        self._engine: Final = create_async_engine(
            url.set(query=read.in_url),
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_timeout=_CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"timeout": _CONNECT_TIMEOUT_S, **read.arguments, "server_settings": settings},
            execution_options={"postgresql_readonly": True},
        )

    @asynccontextmanager
    async def connect(self, deadline: StatementDeadline) -> AsyncIterator["PostgresSession"]:
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)  # noqa: S101 - the pool types it as object
            yield PostgresSession(driver, deadline)

    @asynccontextmanager
    async def connect_for_schema(self, deadline: StatementDeadline) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    async def close(self) -> None:
        await self._engine.dispose()


class PostgresSession:
    """Uses the driver's own cursor, because SQLAlchemy's reads at least fifty rows."""

    def __init__(self, driver: asyncpg.Connection, deadline: StatementDeadline) -> None:
        self.driver: Final = driver
        self.deadline: Final = deadline

    @asynccontextmanager
    async def execute(self, sql: str, row_limit: int, value_chars: int) -> AsyncIterator["_PostgresCursor"]:
        del row_limit
        async with self.driver.transaction(readonly=True):
            columns = _result_columns(await self.driver.prepare(sql))
            if not columns:
                raise QueryFailed(NO_ROWS)
            long_columns = max(1, sum(column.type not in _SHORT for column in columns))
            fitting = _MAX_STEP_CHARS // long_columns  # characters of each column in one step
            value_chars = min(value_chars, max(MAX_CELL_CHARS, fitting))
            cursor = await self.driver.cursor(_clip_in_server(sql, columns, value_chars))
            yield _PostgresCursor(cursor, columns, value_chars, step=max(1, min(_MAX_STEP, fitting // value_chars)))


class _ResultColumn(NamedTuple):
    """`type` is the name of a type in `pg_catalog`, empty for a user-defined type; `title` is a name for people."""

    name: str
    type: str
    title: str


class _PostgresCursor:
    def __init__(
        self, cursor: asyncpg.cursor.Cursor, columns: Sequence[_ResultColumn], value_chars: int, *, step: int
    ) -> None:
        self._cursor = cursor
        self._readers = [_reader(column.type, value_chars) for column in columns]
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


def _reader(kind: str, value_chars: int) -> Callable[[str], object] | None:
    """Makes a value of the text that the server sent; None where the driver does that."""
    if kind in _FIXED_SIZE:
        return None
    if kind == "bytea":
        return _binary
    read = _READ_FROM_TEXT.get(kind, str)

    def read_text(text: str) -> object:
        if len(text) <= value_chars:
            return read(text)
        size, _, beginning = text.partition(":")
        return Clipped(beginning, int(size))

    return read_text


def _binary(text: str) -> Binary:
    size, _, digits = text.partition(":")
    return Binary(digits, int(size))


def _result_columns(statement: asyncpg.prepared_stmt.PreparedStatement) -> list[_ResultColumn]:
    """The columns of a prepared statement, which has not run yet."""
    return [
        _ResultColumn(
            found.name, found.type.name if found.type.schema == "pg_catalog" else "", _type_title(found.type.name)
        )
        for found in statement.get_attributes()
    ]


def _type_title(name: str) -> str:
    element = name.removesuffix("[]")
    return _TITLES.get(element, element) + name[len(element) :]


def _clip_in_server(sql: str, columns: Sequence[_ResultColumn], most: int) -> str:
    """Wrap `sql`, a prepared SELECT with these columns, in a SELECT that clips values of more than `most` characters.

    Without it, one `array_agg` over a cross join sends hundreds of megabytes, which the driver decodes in the event
    loop. Plain numbers stay as they are, all other types become text. Of a clipped value the length, a colon, and the
    beginning are sent, of a `bytea` always. PostgreSQL keeps the row order: it does not reorder what a projection reads
    from an ordered subquery.
    """
    names = [f"c{number}" for number in range(1, len(columns) + 1)]
    written = [_as_text(name, column.type, most) for name, column in zip(names, columns, strict=True)]
    shown = [_clipped(name, column.type, most) for name, column in zip(names, columns, strict=True)]
    # OFFSET 0 keeps the planner from merging the subqueries, so that each value is computed and cast to text once.
    inside = f"SELECT {', '.join(written)} FROM (\n{sql}\n) AS approved ({', '.join(names)}) OFFSET 0"  # noqa: S608
    return f"SELECT {', '.join(shown)} FROM ({inside}) AS written"  # noqa: S608


def _as_text(name: str, kind: str, most: int) -> str:
    if kind in _FIXED_SIZE:
        return name
    if kind == "bytea":
        beginning = f"substring({name} FROM 1 FOR {MAX_BINARY_BYTES if most <= MAX_CELL_CHARS else most // 2})"
        return f"octet_length({name}) || ':' || encode({beginning}, 'hex') AS {name}"
    if kind in _CAST_DIFFERS:
        return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END AS {name}"
    return f"CAST({name} AS text) AS {name}"


def _clipped(name: str, kind: str, most: int) -> str:
    if kind in _FIXED_SIZE or kind == "bytea":
        return name
    clip = f"length({name}) || ':' || left({name}, {most})"
    return f"CASE WHEN length({name}) > {most} THEN {clip} ELSE {name} END"


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would mean no limit
