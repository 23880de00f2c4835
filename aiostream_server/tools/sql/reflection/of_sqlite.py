"""SQLite's tables: those that can be read together in two statements, the others one by one.

A view of a dropped table, or a virtual table without its module, is skipped. Indexes for full-text search are left out,
as are the tables in which virtual tables keep their content. https://www.sqlite.org/vtab.html#xshadowname
"""

import asyncio
import hashlib
import re
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple, ParamSpec, TypeVar

from aiostream_server.tools.sql.errors import DatabaseUnreachable, driver_message
from aiostream_server.tools.sql.reflection.choice import (
    MAX_SAMPLE_CHARS,
    SAMPLED_CELLS,
    SAMPLED_ROWS,
    is_chosen,
    telling,
)
from aiostream_server.tools.sql.schema import Column, Schema, Skipped, Table

P = ParamSpec("P")
T = TypeVar("T")

_OBJECTS: Final = (
    "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'"
)
_COLUMNS: Final = 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)'
_ALL_COLUMNS: Final = """
    SELECT m.name, x.name, x.type, x."notnull", x.pk, x.hidden FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS x
    WHERE m.type = 'table' AND m.rootpage > 0
"""
_ALL_FOREIGN: Final = """
    SELECT m.name, f."from", f."table", f."to" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f
    WHERE m.type = 'table' AND m.rootpage > 0
"""
_HIDDEN: Final = 1  # a hidden column of a virtual table; 2 and 3 are generated columns
_TEXT: Final = re.compile(r"CHAR|CLOB|TEXT", re.IGNORECASE)
_VIRTUAL: Final = re.compile(r"\s*CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+(\w+)", re.IGNORECASE | re.DOTALL)
_SHADOW: Final = re.compile(
    r"data|idx|content|docsize|config|segments|segdir|stat|node|rowid|parent|"  # full-text search, R*Tree
    r"chunks|rowids|info|auxiliary|(?:metadatachunks|metadatatext|vector_chunks)\d+"  # vec0
)


class SqliteCatalog:
    """A `Catalog` over one connection, which it uses in threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: Final = connection

    async def stamp(self) -> str:
        return await _in_thread(self._stamp)

    async def read(self, schemas: Sequence[str] | None, patterns: Sequence[str]) -> Schema:
        if schemas is not None and [*schemas] != ["main"]:
            raise DatabaseUnreachable("schemas: SQLite has no schemas; leave the key out")
        return await _in_thread(reflect_sqlite, self._connection, patterns)

    def _stamp(self) -> str:
        objects = self._connection.execute("SELECT name, sql, rootpage FROM sqlite_master").fetchall()
        return hashlib.sha256(repr(objects).encode()).hexdigest()


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, but a cancelled caller waits for the thread, which still uses the connection."""
    thread = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(thread)
    finally:
        if not thread.done():
            await asyncio.wait({thread})


class _ColumnRow(NamedTuple):
    """`pk` is the column's place in the primary key, from 1; 0 for none."""

    name: str
    type: str
    notnull: int
    pk: int
    hidden: int


def reflect_sqlite(connection: sqlite3.Connection, patterns: Sequence[str]) -> Schema:
    """Read all tables that the patterns choose."""
    objects = sorted(connection.execute(_OBJECTS).fetchall())
    modules = {name: match[1].lower() for name, _, sql in objects if sql and (match := _VIRTUAL.match(sql))}
    reader = _TableReader(connection)
    tables: list[Table] = []
    skipped: list[Skipped] = []
    for name, kind, _ in objects:
        if _is_index(name, modules) or not is_chosen([name], patterns):
            continue
        try:
            is_plain = kind == "table" and name not in modules
            tables.append(reader.plain_table(name) if is_plain else reader.other(name, is_view=kind == "view"))
        except sqlite3.Error as exc:
            if exc.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:  # the time is over, for all tables
                raise
            skipped.append(Skipped(name, driver_message(exc)))
    return Schema("sqlite", _with_known_references(tables), tuple(skipped), sqlite3.sqlite_version, timezone="UTC")


def _is_index(name: str, modules: Mapping[str, str]) -> bool:
    """Whether the table is a full-text index, or holds the content of a virtual table."""
    if modules.get(name, "").startswith("fts"):
        return True
    owners = (virtual for virtual in modules if name.startswith(f"{virtual}_"))
    return any(_SHADOW.fullmatch(name[len(virtual) + 1 :]) for virtual in owners)


class _TableReader:
    """Has the columns and foreign keys of all plain tables from the start, where one statement can read them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: Final = connection
        self._columns: Final[dict[str, list[_ColumnRow]]] = {}
        self._foreign: Final[dict[str, dict[str, tuple[str, str]]]] = {}
        self._cells_left = SAMPLED_CELLS
        with suppress(sqlite3.Error):  # then each is read by itself
            for owner, *values in connection.execute(_ALL_COLUMNS).fetchall():
                self._columns.setdefault(owner, []).append(_ColumnRow(*values))
        with suppress(sqlite3.Error):
            for owner, here, there, target in connection.execute(_ALL_FOREIGN).fetchall():
                self._foreign.setdefault(owner, {})[here] = (there, target or "")

    def plain_table(self, name: str) -> Table:
        rows = self._columns.get(name) or self._columns_of(name)
        return self._table(name, rows, self._samples(name, [row.name for row in rows if _TEXT.search(row.type)]))

    def other(self, name: str, *, is_view: bool) -> Table:
        """A view or a virtual table. Even a few rows of one can be expensive. Raises `sqlite3.Error`."""
        rows = self._columns_of(name)
        # Compiles the view's own text, which naming its columns does not.
        self._connection.execute(f"SELECT 1 FROM {_quoted(name)} LIMIT 0").close()  # noqa: S608
        made = self._table(name, rows, {})
        return replace(made, kind="view") if is_view else made

    def _columns_of(self, name: str) -> list[_ColumnRow]:
        return [_ColumnRow(*values) for values in self._connection.execute(_COLUMNS, (name,))]

    def _table(self, name: str, rows: Sequence[_ColumnRow], samples: Mapping[str, tuple[str, ...]]) -> Table:
        references = self._foreign.get(name, {})
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
            if row.hidden != _HIDDEN
        )
        keys = sorted((row for row in rows if row.pk), key=lambda row: row.pk)
        return Table(name, columns, tuple(row.name for row in keys))

    def _samples(self, table: str, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The values of each text column that has few, short values in the table's first rows."""
        if not names or self._cells_left <= 0:
            return {}
        cut = ", ".join(f"substr({_quoted(name)}, 1, {MAX_SAMPLE_CHARS + 1})" for name in names)
        select = f"SELECT {cut} FROM {_quoted(table)} LIMIT {SAMPLED_ROWS}"  # noqa: S608
        try:
            rows = self._connection.execute(select).fetchall()
        except sqlite3.Error:  # the function of a generated column fails: the table itself may still be asked
            return {}
        self._cells_left -= len(rows) * len(names)
        return {name: telling(row[index] for row in rows) for index, name in enumerate(names)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _with_known_references(tables: Collection[Table]) -> tuple[Table, ...]:
    """The tables without references to those left out. SQLite keeps names as they were written: any case, no column."""
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
