"""Reads a `Schema` from a live database, without counting rows and with at most a few hundred rows of each table.

The schema leaves out what the connected role may not read: a model's query of that could only fail. PostgreSQL:
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

from sqlalchemy import Connection, Inspector, column, func, inspect, select, text
from sqlalchemy import table as table_clause
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType, String, TypeEngine

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


def reflect(connection: Connection, dialect: DialectName) -> tuple[str | None, Schema]:
    """The database schema that unqualified names refer to, and its content. For `AsyncConnection.run_sync`."""
    inspector = inspect(connection)
    home, views = inspector.default_schema_name, {*inspector.get_view_names()}
    columns = {name: found for (_, name), found in inspector.get_multi_columns(kind=ObjectKind.ANY).items()}
    if dialect == "postgres":
        views.update(inspector.get_materialized_view_names())
        readable = {(table, name) for table, name in connection.execute(_READABLE, {"schema": home})}
        columns = {
            table: [each for each in found if (table, each["name"]) in readable] for table, found in columns.items()
        }
    known = {(table, each["name"]) for table, found in columns.items() for each in found}
    keys = _primary_keys(inspector, known)
    references = _references(inspector, known)
    tables: list[Table] = []
    for name in sorted({table for table, _ in known}):
        # Even a few rows of a view can be expensive.
        is_sampled = len(tables) < _SAMPLED_TABLES and name not in views
        samples = _samples(connection, name, columns[name]) if is_sampled else {}
        found = tuple(
            Column(
                each["name"],
                _type_name(connection, each["type"]),
                each["nullable"],
                references.get((name, each["name"])),
                samples.get(each["name"], ()),
            )
            for each in columns[name]
        )
        tables.append(Table(name, found, keys.get(name, ()), name in views))
    return home, Schema(dialect, tuple(tables))


def _primary_keys(inspector: Inspector, known: Set[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    """The keys by table; without a key that has a column outside of the schema."""
    keys = inspector.get_multi_pk_constraint(kind=ObjectKind.ANY)
    names = {table: tuple(key["constrained_columns"]) for (_, table), key in keys.items() if key}
    return {table: key for table, key in names.items() if all((table, name) in known for name in key)}


def _references(inspector: Inspector, known: Set[tuple[str, str]]) -> Mapping[tuple[str, str], tuple[str, str]]:
    """The table and column that a column refers to; without those outside of the schema."""
    foreign = inspector.get_multi_foreign_keys(kind=ObjectKind.ANY)
    return {
        (table, here): (key["referred_table"], there)
        for (_, table), keys in foreign.items()
        for key in keys
        for here, there in zip(key["constrained_columns"], key["referred_columns"], strict=False)
        if (key["referred_table"], there) in known
    }


def _type_name(connection: Connection, kind: TypeEngine[Any]) -> str:
    return "" if isinstance(kind, NullType) else kind.compile(dialect=connection.dialect)


def _samples(connection: Connection, table: str, columns: Sequence[ReflectedColumn]) -> dict[str, tuple[str, ...]]:
    """The values of each column that has few, short values in the table's first rows."""
    names = [each["name"] for each in columns if isinstance(each["type"], String)]
    if not names:
        return {}
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
