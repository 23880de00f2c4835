"""PostgreSQL's catalogs: two queries for all tables, and one for the samples of each.

The schema leaves out what the connected role may not read: a model's query of that could only fail.
https://www.postgresql.org/docs/current/catalogs.html
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import Row, column, func, select, text
from sqlalchemy import table as table_clause
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.tools.sql.errors import DatabaseUnreachable
from aiostream_server.tools.sql.reflection.choice import (
    MAX_SAMPLE_CHARS,
    SAMPLED_ROWS,
    SAMPLED_TABLES,
    is_chosen,
    telling,
)
from aiostream_server.tools.sql.reflection.own_code import read_own_code
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
_SESSION: Final = text(
    """
    SELECT current_setting('server_version') AS version, current_setting('TimeZone') AS timezone,
           current_database() AS catalog, current_schemas(false)::text[] AS home,
           ARRAY(SELECT nspname::text FROM pg_catalog.pg_namespace) AS known
    """
)
_COLUMNS: Final = text(
    """
    SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, c.relispartition AS is_partition,
           pg_catalog.pg_table_is_visible(c.oid) AS is_home,
           pg_catalog.obj_description(c.oid, 'pg_class') AS about,
           a.attname AS column, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
           t.typnamespace = 'pg_catalog'::regnamespace AS is_built_in, a.attnotnull AS is_required,
           a.attgenerated <> '' AS is_generated, pg_catalog.col_description(c.oid, a.attnum) AS comment,
           t.typcategory = 'S' AS is_text,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE')
               AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') AS is_open,
           ARRAY(
               SELECT e.enumlabel::text FROM pg_catalog.pg_enum e
               WHERE e.enumtypid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END ORDER BY e.enumsortorder
           ) AS labels
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = ANY(:schemas)
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY n.nspname, c.relname, a.attnum
    """
)
_KEYS: Final = text(
    """
    SELECT k.contype::text AS kind, n.nspname AS schema, c.relname AS name,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(number, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
                 ORDER BY u.place) AS here,
           fn.nspname AS there_schema, f.relname AS there_name,
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(number, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number
                 ORDER BY u.place) AS there
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
    LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.contype IN ('p', 'f') AND n.nspname = ANY(:schemas)
    """
)
_TYPES: Final = text(
    """
    SELECT n.nspname AS schema, t.typname AS name, pg_catalog.pg_type_is_visible(t.oid) AS is_home
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY(:schemas) AND pg_catalog.has_type_privilege(t.oid, 'USAGE')
      AND (t.typtype IN ('e', 'd')
           OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      -- A domain whose check calls a function of the database would run that function.
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_constraint k
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
               AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
          WHERE k.contypid = t.oid
      )
    """
)
_Name: TypeAlias = tuple[str, str]
"""Of a table: its schema and its own name."""
_Columns: TypeAlias = dict[_Name, list[Row[Any]]]  # a row's values have the types of the catalog's columns
_Primary: TypeAlias = dict[_Name, tuple[str, ...]]
_Foreign: TypeAlias = dict[tuple[_Name, str], tuple[str, str]]


async def reflect_postgres(
    connection: AsyncConnection, schemas: Sequence[str] | None, patterns: Sequence[str]
) -> Schema:
    """`schemas` are those to read, None for the search path's. Raises `DatabaseUnreachable` for an unknown one."""
    session = (await connection.execute(_SESSION)).one()
    if unknown := sorted({*(schemas or ())} - {*session.known}):
        raise DatabaseUnreachable(f"it has no schema {', '.join(unknown)}")
    chosen = {"schemas": list(schemas or session.home)}
    there_is: _Columns = {}
    for row in await connection.execute(_COLUMNS, chosen):
        if is_chosen([row.name, f"{row.schema}.{row.name}"], patterns):
            there_is.setdefault((row.schema, row.name), []).append(row)
    opened = {key: [row for row in rows if row.is_open] for key, rows in there_is.items()}
    found = {key: rows for key, rows in opened.items() if rows}
    primary, foreign = _keys(found, (await connection.execute(_KEYS, chosen)).all())
    tables = [
        await _table(connection, key, rows, primary.get(key, ()), foreign, is_sampled=number < SAMPLED_TABLES)
        for number, (key, rows) in enumerate(found.items())
    ]
    types = {name for row in await connection.execute(_TYPES, chosen) for name in _written(row)}
    return Schema(
        "postgres",
        tuple(sorted(tables, key=lambda table: (not table.is_home, table.full_name))),
        tuple(_closed(there_is)),
        session.version.split()[0],
        session.timezone,
        session.catalog,
        frozenset(types),
        own=await read_own_code(connection),
    )


def _keys(found: _Columns, constraints: Sequence[Row[Any]]) -> tuple[_Primary, _Foreign]:
    """The primary keys, and the references of columns; without those to what is not in the schema."""
    known = {(key, row.column) for key, rows in found.items() for row in rows}
    names = {key: key[1] if rows[0].is_home else ".".join(key) for key, rows in found.items()}
    primary: _Primary = {}
    foreign: _Foreign = {}
    for constraint in constraints:
        here, there = (constraint.schema, constraint.name), (constraint.there_schema, constraint.there_name)
        if constraint.kind == "p" and all((here, name) in known for name in constraint.here):
            primary[here] = tuple(constraint.here)
        for name, target in zip(constraint.here, constraint.there, strict=False):
            if (there, target) in known:
                foreign[here, name] = (names[there], target)
    return primary, foreign


async def _table(
    connection: AsyncConnection,
    key: _Name,
    rows: Sequence[Row[Any]],
    primary: tuple[str, ...],
    foreign: _Foreign,
    *,
    is_sampled: bool,
) -> Table:
    first = rows[0]
    kind: TableKind = "partition" if first.is_partition else _KINDS[first.kind]
    # Even a few rows of a view can be expensive, and those of a foreign table far away.
    samples: Mapping[str, tuple[str, ...]] = {}
    if is_sampled and kind in ("table", "partitioned table"):
        samples = await _samples(connection, key, [row.column for row in rows if row.is_text])
    columns = tuple(
        Column(
            row.column,
            _type_name(row),
            not row.is_required,
            foreign.get((key, row.column)),
            samples.get(row.column, ()),
            tuple(row.labels),
            row.comment or "",
            row.is_generated,
        )
        for row in rows
    )
    return Table(key[1], columns, primary, kind, key[0], first.is_home, first.about or "")


def _closed(found: _Columns) -> Iterator[Skipped]:
    """The tables of which no column may be read, and single columns that may not."""
    for (schema, name), rows in found.items():
        closed = [row for row in rows if not row.is_open]
        names = [""] if len(closed) == len(rows) else [f".{row.column}" for row in closed]
        yield from (Skipped(f"{schema}.{name}{each}", NO_RIGHT) for each in names)


def _written(row: Row[Any]) -> Sequence[str]:
    """How a statement can write the type."""
    return [f"{row.schema}.{row.name}", *([row.name] if row.is_home else [])]


def _type_name(row: Row[Any]) -> str:
    """`ticket_state`; PostgreSQL's own types in capitals, by their short names: `VARCHAR(20)`."""
    if not row.is_built_in:
        return str(row.type)
    name = row.type.upper().replace(",", ", ")
    for long, short in _SHORT_TYPES.items():
        name = name.replace(long, short)
    return str(name)


async def _samples(connection: AsyncConnection, table: _Name, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """The values of each text column that has few, short values in the table's first rows."""
    if not names:
        return {}
    cut = [func.substr(func.cast(column(name), TEXT), 1, MAX_SAMPLE_CHARS + 1) for name in names]
    statement = select(*cut).select_from(table_clause(table[1], schema=table[0])).limit(SAMPLED_ROWS)
    try:
        async with connection.begin_nested():
            rows = (await connection.execute(statement)).all()
    except DBAPIError:  # a policy of row security that fails, a broken index: the table itself may still be asked
        return {}
    return {name: telling(row[index] for row in rows) for index, name in enumerate(names)}
