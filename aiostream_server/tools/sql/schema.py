"""What can be queried: tables, columns, keys, and sample values of columns that have few different ones.

`Schema.describe` writes it as CREATE statements, for language models and for rules.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy.dialects import postgresql, sqlite

from aiostream_server.tools.sql.dialects import TITLES, DialectName

_QUOTES: Final = {
    "postgres": postgresql.dialect().identifier_preparer,  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect().identifier_preparer,
}


@dataclass(frozen=True, slots=True)
class Column:
    """`references` is the table and column that a foreign key refers to; `samples` are some of its values, or empty."""

    name: str
    type: str
    nullable: bool = True
    references: tuple[str, str] | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `primary_key` holds the names of its columns, in order."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    is_view: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables that can be queried, sorted by name."""

    dialect: DialectName
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        """The table of that name. Raises `LookupError`, which lists the tables."""
        for table in self.tables:
            if table.name.lower() == name.lower():
                return table
        raise LookupError(f"there is no table {name}; there are: {', '.join(table.name for table in self.tables)}")

    def describe(self, tables: Collection[str] | None = None) -> str:
        """The dialect as a comment, then one CREATE statement for each table (of `tables`, or all), a column a line."""
        chosen = self.tables if tables is None else [self.table(name) for name in tables]
        return "\n".join([f"-- {TITLES[self.dialect]}", *(self._describe_table(table) for table in chosen)])

    def _describe_table(self, table: Table) -> str:
        kind = "VIEW" if table.is_view else "TABLE"
        return "\n".join([f"CREATE {kind} {self._quote(table.name)} (", *self._lines(table), ");"])

    def _lines(self, table: Table) -> Iterator[str]:
        composite = len(table.primary_key) > 1
        for number, column in enumerate(table.columns, start=1):
            comma = "," if composite or number < len(table.columns) else ""
            yield f"  {self._describe_column(column, table)}{comma}{_describe_samples(column)}"
        if composite:
            yield f"  PRIMARY KEY ({', '.join(map(self._quote, table.primary_key))})"

    def _describe_column(self, column: Column, table: Table) -> str:
        words = [self._quote(column.name), column.type]
        if table.primary_key == (column.name,):
            words.append("PRIMARY KEY")
        elif not column.nullable:
            words.append("NOT NULL")
        if column.references:
            there, key = column.references
            words.append(f"REFERENCES {self._quote(there)} ({self._quote(key)})")
        return " ".join(filter(None, words))  # in SQLite a column can have no type

    def _quote(self, name: str) -> str:
        """The name as a statement must write it: in quotes where it is a reserved word or not a plain identifier."""
        return str(_QUOTES[self.dialect].quote(name))


def _describe_samples(column: Column) -> str:
    if not column.samples:
        return ""
    shown = ", ".join("'" + " ".join(value.replace("'", "''").split()) + "'" for value in column.samples)
    return f" -- e.g. {shown}"
