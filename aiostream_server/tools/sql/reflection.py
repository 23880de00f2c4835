"""Reads a `Schema` from a live database, without counting rows and with at most a few hundred rows of each table.

The schema leaves out what the connected role may not read: a model's query of that could only fail. PostgreSQL:
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, column, func, inspect, select, text
from sqlalchemy import table as table_clause
from sqlalchemy.engine.interfaces import ReflectedColumn, TableKey
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType, String

from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.schema import Column, Schema, Table

_SAMPLED_TABLES: Final = 50
_SAMPLED_ROWS: Final = 500
_MAX_SAMPLES: Final = 12
_MAX_SAMPLE_CHARS: Final = 40
_READABLE: Final = text(
    """
    SELECT c.relname, a.attname
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = :schema
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND has_schema_privilege(n.oid, 'USAGE')
      AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    """
)

_Reflected: TypeAlias = Mapping[TableKey, Sequence[ReflectedColumn]]


def reflect(connection: Connection, dialect: DialectName) -> tuple[str | None, Schema]:
    """The database schema that unqualified names refer to, and its content. For `AsyncConnection.run_sync`."""
    inspector = inspect(connection)
    columns: _Reflected = inspector.get_multi_columns(kind=ObjectKind.ANY)
    keys = inspector.get_multi_pk_constraint(kind=ObjectKind.ANY)
    foreign = inspector.get_multi_foreign_keys(kind=ObjectKind.ANY)
    views = {*inspector.get_view_names()}
    if dialect == "postgres":
        views.update(inspector.get_materialized_view_names())
        columns = _only_readable(columns, _readable_columns(connection, inspector.default_schema_name))
    tables = []
    for key, reflected in sorted(columns.items(), key=lambda item: item[0][1]):
        name = key[1]
        references = dict(_references(foreign.get(key, ())))
        tables.append(
            Table(
                name,
                tuple(_column(connection, found, references) for found in reflected),
                tuple((keys.get(key) or {"constrained_columns": []})["constrained_columns"]),
                name in views,
            )
        )
    known = {(table.name, found.name) for table in tables for found in table.columns}
    tables = [_without_hidden_keys(table, known) for table in tables]
    return inspector.default_schema_name, Schema(dialect, tuple(_sampled(connection, tables, columns)))


def _readable_columns(connection: Connection, schema: str | None) -> Mapping[str, frozenset[str]]:
    """The columns by table that PostgreSQL lets the connected role read. A table without any is left out."""
    found: dict[str, set[str]] = {}
    for table, name in connection.execute(_READABLE, {"schema": schema}):
        found.setdefault(table, set()).add(name)
    return {table: frozenset(columns) for table, columns in found.items()}


def _only_readable(columns: _Reflected, readable: Mapping[str, frozenset[str]]) -> _Reflected:
    kept = {
        key: [found for found in reflected if found["name"] in readable.get(key[1], ())]
        for key, reflected in columns.items()
    }
    return {key: reflected for key, reflected in kept.items() if reflected}


def _without_hidden_keys(table: Table, known: Set[tuple[str, str]]) -> Table:
    """The table without the keys that refer to columns outside of the schema."""
    columns = (found if found.references in known else replace(found, references=None) for found in table.columns)
    key = table.primary_key if all((table.name, name) in known for name in table.primary_key) else ()
    return replace(table, columns=tuple(columns), primary_key=key)


def _references(foreign_keys: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, str]]]:
    for key in foreign_keys:
        there = key["referred_table"]
        for here, column_there in zip(key["constrained_columns"], key["referred_columns"], strict=False):
            yield here, (there, column_there)


def _column(connection: Connection, found: ReflectedColumn, references: Mapping[str, tuple[str, str]]) -> Column:
    kind = found["type"]
    written = "" if isinstance(kind, NullType) else kind.compile(dialect=connection.dialect)
    return Column(found["name"], written, found["nullable"], references.get(found["name"]))


def _sampled(connection: Connection, tables: Sequence[Table], reflected: _Reflected) -> Iterator[Table]:
    text_columns = {
        key[1]: [found["name"] for found in columns if isinstance(found["type"], String)]
        for key, columns in reflected.items()
    }
    for number, table in enumerate(tables):
        names = text_columns[table.name]
        # Even a few rows of a view can be expensive.
        if number < _SAMPLED_TABLES and names and not table.is_view:
            yield _with_samples(table, _samples(connection, table.name, names))
        else:
            yield table


def _with_samples(table: Table, samples: Mapping[str, tuple[str, ...]]) -> Table:
    columns = (replace(found, samples=samples.get(found.name, ())) for found in table.columns)
    return replace(table, columns=tuple(columns))


def _samples(connection: Connection, table: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of each column that has few, short values in the table's first rows."""
    cut = [func.substr(column(name), 1, _MAX_SAMPLE_CHARS + 1) for name in names]
    statement = select(*cut).select_from(table_clause(table)).limit(_SAMPLED_ROWS)
    try:
        rows = connection.execute(statement).all()
    except DBAPIError:  # no right to read, or a column that is not text: leave the samples out
        connection.rollback()
        return {}
    found = {name: {row[index] for row in rows} - {None} for index, name in enumerate(names)}
    return {name: tuple(sorted(values)) for name, values in found.items() if _is_telling(values)}


def _is_telling(values: set[Any]) -> bool:
    return len(values) <= _MAX_SAMPLES and all(isinstance(v, str) and len(v) <= _MAX_SAMPLE_CHARS for v in values)
