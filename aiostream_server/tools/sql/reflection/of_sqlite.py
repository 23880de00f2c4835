"""SQLite's tables, each read by itself: a view of a dropped table, or a virtual table without its module, is skipped.

Indexes for full-text search are left out, as are the tables in which virtual tables keep their content.
https://www.sqlite.org/vtab.html#xshadowname
"""

import re
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, column, func, select, text
from sqlalchemy import table as table_clause
from sqlalchemy.exc import DBAPIError

from aiostream_server.tools.sql.errors import driver_message
from aiostream_server.tools.sql.reflection.choice import (
    MAX_SAMPLE_CHARS,
    SAMPLED_ROWS,
    SAMPLED_TABLES,
    is_chosen,
    telling,
)
from aiostream_server.tools.sql.schema import Column, Schema, Skipped, Table

_TABLES: Final = text(
    "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'"
)
_COLUMNS: Final = text('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(:name)')
_FOREIGN: Final = text('SELECT "table" AS there, "from" AS here, "to" AS target FROM pragma_foreign_key_list(:name)')
_HIDDEN: Final = 1  # a hidden column of a virtual table; 2 and 3 are generated columns
_TEXT: Final = re.compile(r"CHAR|CLOB|TEXT", re.IGNORECASE)
_VIRTUAL: Final = re.compile(r"\s*CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+(\w+)", re.IGNORECASE | re.DOTALL)
_SHADOW: Final = re.compile(
    r"data|idx|content|docsize|config|segments|segdir|stat|node|rowid|parent|"  # full-text search, R*Tree
    r"chunks|rowids|info|auxiliary|(?:metadatachunks|metadatatext|vector_chunks)\d+"  # vec0
)


def reflect_sqlite(connection: Connection, patterns: Sequence[str]) -> Schema:
    """For `AsyncConnection.run_sync`."""
    found = sorted(connection.execute(_TABLES).all(), key=lambda row: str(row.name))
    modules = {row.name: match[1].lower() for row in found if row.sql and (match := _VIRTUAL.match(row.sql))}
    tables: list[Table] = []
    skipped: list[Skipped] = []
    for row in found:
        if _is_index(row.name, modules) or not is_chosen([row.name], patterns):
            continue
        try:
            tables.append(_read(connection, row, is_sampled=len(tables) < SAMPLED_TABLES and row.name not in modules))
        except DBAPIError as exc:
            skipped.append(Skipped(row.name, driver_message(exc)))
    return Schema("sqlite", _with_known_references(tables), tuple(skipped), sqlite3.sqlite_version, timezone="UTC")


def _is_index(name: str, modules: Mapping[str, str]) -> bool:
    """Whether the table is a full-text index, or holds the content of a virtual table."""
    if modules.get(name, "").startswith("fts"):
        return True
    owners = (virtual for virtual in modules if name.startswith(f"{virtual}_"))
    return any(_SHADOW.fullmatch(name[len(virtual) + 1 :]) for virtual in owners)


def _read(connection: Connection, about: Row[Any], *, is_sampled: bool) -> Table:
    rows = [row for row in connection.execute(_COLUMNS, {"name": about.name}) if row.hidden != _HIDDEN]
    # Compiles the view's own text, which naming its columns does not.
    connection.execute(select(text("1")).select_from(table_clause(about.name)).limit(0))
    is_view = about.type == "view"
    samples: Mapping[str, tuple[str, ...]] = {}
    if is_sampled and not is_view:  # even a few rows of a view can be expensive
        samples = _samples(connection, about.name, [row.name for row in rows if _TEXT.search(row.type)])
    foreign = connection.execute(_FOREIGN, {"name": about.name}).all()
    references = {row.here: (row.there, row.target or "") for row in foreign}
    columns = tuple(
        Column(
            row.name,
            row.type,
            not row.notnull,
            references.get(row.name),
            samples.get(row.name, ()),
            is_generated=row.hidden != 0,
        )
        for row in rows
    )
    keys = sorted((row for row in rows if row.pk), key=lambda row: int(row.pk))
    return Table(about.name, columns, tuple(row.name for row in keys), "view" if is_view else "table")


def _samples(connection: Connection, table: str, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """The values of each text column that has few, short values in the table's first rows."""
    if not names:
        return {}
    cut = [func.substr(column(name), 1, MAX_SAMPLE_CHARS + 1) for name in names]
    statement = select(*cut).select_from(table_clause(table)).limit(SAMPLED_ROWS)
    try:
        rows = connection.execute(statement).all()
    except DBAPIError:  # the function of a generated column fails: the table itself may still be asked
        return {}
    return {name: telling(row[index] for row in rows) for index, name in enumerate(names)}


def _with_known_references(tables: Collection[Table]) -> tuple[Table, ...]:
    """Without references to what was left out. SQLite keeps the names as they were written: any case, no column."""
    by_name = {table.name.lower(): table for table in tables}

    def known(reference: tuple[str, str] | None) -> tuple[str, str] | None:
        there = by_name.get(reference[0].lower()) if reference else None
        if there is None or reference is None:
            return None
        target = reference[1] or (there.primary_key[0] if len(there.primary_key) == 1 else "")
        named = [each.name for each in there.columns if each.name.lower() == target.lower()]
        return (there.name, named[0]) if named else None

    return tuple(
        replace(table, columns=tuple(replace(each, references=known(each.references)) for each in table.columns))
        for table in tables
    )
