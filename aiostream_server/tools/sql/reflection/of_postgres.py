"""PostgreSQL's catalogs: a few queries for all tables together, and the samples of several tables at once.

The server writes the description of a table as one JSON text, so that nothing but texts passes through the event loop;
a thread parses them. The schema leaves out what the connected role may not read: a model's query of that could only
fail. https://www.postgresql.org/docs/current/catalogs.html
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.tools.sql.errors import DatabaseUnreachable
from aiostream_server.tools.sql.own_code import OwnCode
from aiostream_server.tools.sql.reflection.choice import is_chosen
from aiostream_server.tools.sql.reflection.own_code import read_own_code
from aiostream_server.tools.sql.reflection.postgres_catalogs import COLUMN_FIELDS, KEYS, SESSION, STAMP, TABLES, TYPES
from aiostream_server.tools.sql.reflection.postgres_samples import Samples, TextColumns, read_samples
from aiostream_server.tools.sql.schema import NO_RIGHT, Column, Schema, Skipped, Table, TableKind

_KINDS: Final[Mapping[str, TableKind]] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_SHORT_TYPES: Final = {
    "CHARACTER VARYING": "VARCHAR",
    "CHARACTER": "CHAR",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    " WITHOUT TIME ZONE": "",
}
_SAMPLED: Final = ("table", "partitioned table")  # a few rows of a view can be expensive, of a foreign table far away

_Foreign: TypeAlias = dict[tuple[int, str], tuple[str, str]]


class PostgresCatalog:
    """A `Catalog` over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection: Final = connection

    async def stamp(self) -> str:
        """The row versions of all catalogs: they change with every object, comment and right."""
        session = await self._session()
        versions = (await self._connection.execute(STAMP)).all()
        return repr((session.version, session.timezone, session.home, sorted(tuple(row) for row in versions)))

    async def read(self, schemas: Sequence[str] | None, patterns: Sequence[str]) -> Schema:
        """`schemas` are those to read, None for the search path's. Raises `DatabaseUnreachable` for an unknown one."""
        session = await self._session()
        if unknown := sorted({*(schemas or ())} - {*session.known}):
            raise DatabaseUnreachable(f"it has no schema {', '.join(unknown)}")
        chosen = {"schemas": list(schemas or session.home)}
        described = (await self._connection.execute(TABLES, chosen)).scalars().all()
        found = await asyncio.to_thread(_parsed, described, patterns)
        keys = (await self._connection.execute(KEYS, chosen)).scalars().all()
        types = (await self._connection.execute(TYPES, chosen)).all()
        own = await read_own_code(self._connection)
        samples = await read_samples(self._connection, chosen["schemas"], _text_columns(found))
        return await asyncio.to_thread(_schema, session, found, keys, types, own, samples)

    async def _session(self) -> Row[Any]:
        return (await self._connection.execute(SESSION)).one()


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as the catalog has it; the fields are those of `COLUMN_FIELDS`."""

    number: int
    name: str
    type: str
    is_built_in: bool
    is_required: bool
    is_generated: bool
    is_text: bool
    is_open: bool
    labels: Sequence[str] | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class _CatalogTable:
    """A table as the catalog has it. `columns` are by their numbers, in order; the role may not read all of them."""

    id: int
    schema: str
    name: str
    kind: TableKind
    is_home: bool
    comment: str
    columns: Mapping[int, _Column]

    @property
    def full_name(self) -> str:
        return self.name if self.is_home else f"{self.schema}.{self.name}"

    @property
    def open_columns(self) -> Sequence[_Column]:
        return [column for column in self.columns.values() if column.is_open]


def _parsed(described: Sequence[str], patterns: Sequence[str]) -> list[_CatalogTable]:
    """The tables that the patterns choose, sorted by schema and name."""
    tables = (_table(json.loads(text)) for text in described)
    return sorted(
        (table for table in tables if is_chosen([table.name, f"{table.schema}.{table.name}"], patterns)),
        key=lambda table: (table.schema, table.name),
    )


def _table(told: Mapping[str, Any]) -> _CatalogTable:
    columns = sorted(
        (_Column(**dict(zip(COLUMN_FIELDS, column, strict=True))) for column in told["columns"]),
        key=lambda column: column.number,
    )
    kind: TableKind = "partition" if told["is_partition"] else _KINDS[told["kind"]]
    by_number = {column.number: column for column in columns}
    return _CatalogTable(
        told["id"], told["schema"], told["name"], kind, told["is_home"], told["comment"] or "", by_number
    )


def _text_columns(found: Sequence[_CatalogTable]) -> TextColumns:
    return {
        (table.schema, table.name): [column.name for column in table.open_columns if column.is_text]
        for table in found
        if table.kind in _SAMPLED
    }


def _schema(
    session: Row[Any],
    found: Sequence[_CatalogTable],
    keys: Sequence[str],
    types: Sequence[Row[Any]],
    own: OwnCode,
    samples: Samples,
) -> Schema:
    primary, foreign = _keys({table.id: table for table in found}, [json.loads(key) for key in keys])
    tables = [_made(table, primary.get(table.id, ()), foreign, samples) for table in found if table.open_columns]
    return Schema(
        "postgres",
        tuple(sorted(tables, key=lambda table: (not table.is_home, table.full_name))),
        tuple(_closed(found)),
        session.version.split()[0],
        session.timezone,
        session.catalog,
        frozenset(name for row in types for name in _written(row)),
        own,
    )


def _keys(
    found: Mapping[int, _CatalogTable], constraints: Sequence[Mapping[str, Any]]
) -> tuple[dict[int, tuple[str, ...]], _Foreign]:
    """The primary keys, and the references of columns; without those to what is not in the schema."""
    primary: dict[int, tuple[str, ...]] = {}
    foreign: _Foreign = {}
    for constraint in constraints:
        here, there = found.get(constraint["here"]), found.get(constraint["there"])
        if here is None:
            continue
        names = [_open_name(here, number) for number in constraint["columns"]]
        if constraint["kind"] == "p" and all(names):
            primary[here.id] = tuple(names)
        for name, number in zip(names, constraint["references"] or (), strict=False):
            if there is not None and name and (target := _open_name(there, number)):
                foreign[here.id, name] = (there.full_name, target)
    return primary, foreign


def _open_name(table: _CatalogTable, number: int) -> str:
    """Empty for a column that the role may not read."""
    column = table.columns.get(number)
    return column.name if column is not None and column.is_open else ""


def _made(table: _CatalogTable, primary: tuple[str, ...], foreign: _Foreign, samples: Samples) -> Table:
    columns = tuple(
        Column(
            column.name,
            _type_name(column),
            not column.is_required,
            foreign.get((table.id, column.name)),
            samples.get((table.schema, table.name, column.name), ()),
            tuple(column.labels or ()),
            column.comment or "",
            column.is_generated,
        )
        for column in table.open_columns
    )
    return Table(table.name, columns, primary, table.kind, table.schema, table.is_home, table.comment)


def _closed(found: Sequence[_CatalogTable]) -> Iterator[Skipped]:
    """The tables of which no column may be read, and single columns that may not."""
    for table in found:
        closed = [column for column in table.columns.values() if not column.is_open]
        names = [""] if len(closed) == len(table.columns) else [f".{column.name}" for column in closed]
        yield from (Skipped(f"{table.schema}.{table.name}{each}", NO_RIGHT) for each in names)


def _written(row: Row[Any]) -> Sequence[str]:
    """How a statement can write the type."""
    return [f"{row.schema}.{row.name}", *([row.name] if row.is_home else [])]


def _type_name(column: _Column) -> str:
    """`ticket_state`; PostgreSQL's own types in capitals, by their short names: `VARCHAR(20)`."""
    if not column.is_built_in:
        return column.type
    name = column.type.upper().replace(",", ", ")
    for long, short in _SHORT_TYPES.items():
        name = name.replace(long, short)
    return name
