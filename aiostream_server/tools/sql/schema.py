"""What can be queried: tables, columns, keys, comments, and sample values of columns that have few different ones.

`Schema.describe` writes it as CREATE statements, for language models and for rules.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.dialects import postgresql, sqlite

from aiostream_server.text import clipped, one_line
from aiostream_server.tools.sql.dialects import TITLES, DialectName
from aiostream_server.tools.sql.own_code import OwnCode

TableKind: TypeAlias = Literal["table", "view", "materialized view", "foreign table", "partitioned table", "partition"]

NO_RIGHT: Final = "the role has no right to read it"
_MAX_COMMENT_CHARS: Final = 200
_MAX_SKIPPED_CHARS: Final = 500
_MAX_LISTED: Final = 100
_MAX_ALIKE: Final = 12
_QUOTES: Final = {
    "postgres": postgresql.dialect().identifier_preparer,  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect().identifier_preparer,
}


@dataclass(frozen=True, slots=True)
class Column:
    """`references` is the table (as `Table.name`) and column that a foreign key refers to.

    `values` are all values of an enumeration; `samples` are some values of another column, or empty.
    """

    name: str
    type: str
    nullable: bool = True
    references: tuple[str, str] | None = None
    samples: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    comment: str = ""
    is_generated: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view. `primary_key` holds the names of its columns, in order.

    `schema` is the schema that it is in, empty in SQLite. `is_home`: a statement can name it without its schema.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    kind: TableKind = "table"
    schema: str = ""
    is_home: bool = True
    comment: str = ""

    @property
    def full_name(self) -> str:
        """The name, with its schema where a statement must write that."""
        return self.name if self.is_home else f"{self.schema}.{self.name}"

    @property
    def names(self) -> tuple[str, str]:
        """The names that a statement may use: `full_name`, and the name with its schema."""
        return (self.full_name, f"{self.schema}.{self.name}")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A table, view or column that cannot be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables that can be queried, sorted by name.

    `version` is the server's, `timezone` the session's, `catalog` the database's own name; each is empty where unknown.
    `types` are the names of the database's own types, `own` the code that it defines. `about` and `notes` are the
    administrator's words: on the database, and by table (`orders`) or column (`orders.total`).
    """

    dialect: DialectName
    tables: tuple[Table, ...]
    skipped: tuple[Skipped, ...] = ()
    version: str = ""
    timezone: str = ""
    catalog: str = ""
    types: frozenset[str] = frozenset()
    own: OwnCode = field(default_factory=OwnCode)
    about: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    _by_name: Mapping[str, Table] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = ((name.lower(), table) for table in reversed(self.tables) for name in table.names)
        object.__setattr__(self, "_by_name", dict(names))

    def table(self, name: str) -> Table:
        """The table of that name. Raises `LookupError`, which lists the tables."""
        found = self.find_table(name)
        if found is None:
            known = listed_names([table.full_name for table in self.tables], name)
            raise LookupError(f"there is no table {name}; there are: {known}")
        return found

    def find_table(self, name: str) -> Table | None:
        """The table of that name, in any case, with or without its schema."""
        return self._by_name.get(name.lower())

    def summary(self) -> str:
        """`schema sales: 7 tables, schema crm: 1 table; 1 skipped (sales.old: the role has no right to read it)`."""
        counts = Counter(table.schema for table in self.tables)
        counted = [
            f"{f'schema {schema}: ' if schema else ''}{count} table{'' if count == 1 else 's'}"
            for schema, count in counts.items()
        ] or ["no tables"]
        if not self.skipped:
            return ", ".join(counted)
        why = clipped("; ".join(f"{each.name}: {each.reason}" for each in self.skipped), _MAX_SKIPPED_CHARS)
        return f"{', '.join(counted)}; {len(self.skipped)} skipped ({why})"

    def describe(self, tables: Collection[str] | None = None) -> str:
        """The dialect and what else is known of the database as comments, then a CREATE statement for each table.

        The tables are those in `tables`, or all but partitions. A column is a line.
        """
        chosen = [each for each in self.tables if each.kind != "partition"]
        if tables is not None:
            chosen = [self.table(name) for name in tables]
        return "\n".join([self.head(), *map(self.describe_table, chosen)])

    def head(self) -> str:
        """The dialect, and what else is known of the database, as comments."""
        return "\n".join(self._head())

    def describe_table(self, table: Table) -> str:
        """Its CREATE statement, below its comments."""
        return "\n".join(self._describe_table(table))

    def _head(self) -> Iterator[str]:
        today = f"; the time zone is {self.timezone}, today is {_today(self.timezone)}" if self.timezone else ""
        yield f"-- {f'{TITLES[self.dialect]} {self.version}'.rstrip()}{today}"
        if self.about:
            yield f"-- {_comment(self.about)}"

    def _describe_table(self, table: Table) -> Iterator[str]:
        for comment in (table.comment, self.notes.get(table.full_name, "")):
            if comment:
                yield f"-- {table.full_name}: {_comment(comment)}"
        kind = "VIEW" if table.kind in ("view", "materialized view") else "TABLE"
        yield f"CREATE {kind} {self.quoted(table)} ("
        yield from self._lines(table)
        yield ");"

    def _lines(self, table: Table) -> Iterator[str]:
        composite = len(table.primary_key) > 1
        for number, column in enumerate(table.columns, start=1):
            comma = "," if composite or number < len(table.columns) else ""
            about = "; ".join(filter(None, self._about_column(column, table)))
            yield f"  {self._describe_column(column, table)}{comma}{about and f' -- {about}'}"
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
            words.append(f"REFERENCES {self._quoted_path(there)} ({self._quote(key)})")
        return " ".join(filter(None, words))  # in SQLite a column can have no type

    def _about_column(self, column: Column, table: Table) -> Iterator[str]:
        if column.values:
            yield f"one of {_listed(column.values)}"
        elif column.samples:
            yield f"e.g. {_listed(column.samples)}"
        if column.is_generated:
            yield "generated"
        yield _comment(column.comment)
        yield _comment(self.notes.get(f"{table.full_name}.{column.name}", ""))

    def quoted(self, table: Table) -> str:
        """The table's name as a statement must write it."""
        name = self._quote(table.name)
        return name if table.is_home else f"{self._quote(table.schema)}.{name}"

    def _quoted_path(self, full_name: str) -> str:
        table = self.find_table(full_name)
        return self._quote(full_name) if table is None else self.quoted(table)

    def _quote(self, name: str) -> str:
        """The name, in quotes if it is a reserved word or not a plain identifier."""
        return str(_QUOTES[self.dialect].quote(name))


def listed_names(names: Sequence[str], wanted: str) -> str:
    """All of a few names; of many, those that are most like the wanted one, and how many more there are."""
    if len(names) <= _MAX_LISTED:
        return ", ".join(names)
    by_lower = {name.lower(): name for name in names}
    alike = [by_lower[name] for name in get_close_matches(wanted.lower(), by_lower, n=_MAX_ALIKE, cutoff=0.5)]
    return f"{', '.join(alike)}{' and ' if alike else ''}{len(names) - len(alike)} more"


def _today(timezone: str) -> str:
    try:
        return datetime.now(ZoneInfo(timezone)).date().isoformat()
    except (ZoneInfoNotFoundError, ValueError, OSError):  # PostgreSQL knows zones that Python does not
        return datetime.now(UTC).date().isoformat()


def _listed(values: Collection[str]) -> str:
    return ", ".join("'" + one_line(value.replace("'", "''")) + "'" for value in values)


def _comment(text: str) -> str:
    return clipped(one_line(text), _MAX_COMMENT_CHARS)
