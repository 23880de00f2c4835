"""A schema, read from DDL-like text: `CREATE TABLE` blocks, with sample values in comments.

    -- database shop (sqlite)
    CREATE TABLE regions (
      id INTEGER PRIMARY KEY,
      name TEXT, -- 'North', 'South', ...
    );

Tolerant: what is not understood is skipped, and nothing raises.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias

from aiostream_server.models.demo.sql.words import name_parts
from aiostream_server.models.demo.word_list import word_list

Dialect: TypeAlias = Literal["sqlite", "postgresql"]

_NAME: Final = r'(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|[A-Za-z_][\w$]*)'
_PATH: Final = rf"{_NAME}(?:\.{_NAME})*"
_TABLE: Final = re.compile(
    rf"\s*CREATE\s+(?:TEMP\w*\s+)?(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?({_PATH})\s*\((.*)",
    re.IGNORECASE | re.DOTALL,
)
_COLUMN: Final = re.compile(rf"\s*({_NAME})\s*(.*)", re.DOTALL)
_REFERENCES: Final = re.compile(rf"\bREFERENCES\s+({_PATH})\s*(?:\(\s*({_NAME}))?", re.IGNORECASE)
_FOREIGN_KEY: Final = re.compile(rf"\bFOREIGN\s+KEY\s*\(\s*({_NAME})\s*\)", re.IGNORECASE)
_PRIMARY_KEY: Final = re.compile(rf"\bPRIMARY\s+KEY\s*\(\s*({_NAME})\s*\)", re.IGNORECASE)
_CONSTRAINT: Final = re.compile(r"\s*(?:CONSTRAINT|FOREIGN|PRIMARY|UNIQUE|CHECK|KEY|INDEX)\b", re.IGNORECASE)
_SAMPLE: Final = re.compile(r"'((?:[^']|'')*)'")
_POSTGRES: Final = re.compile(r"^\s*--[^\n]*postgres", re.IGNORECASE | re.MULTILINE)
_NUMERIC: Final = re.compile(r"INT|REAL|NUM|DEC|FLOA|DOUB|MONEY|SERIAL", re.IGNORECASE)
_TEMPORAL: Final = re.compile(r"DATE|TIME", re.IGNORECASE)
_DATE_NAME: Final = re.compile(r"(?:^|_)(?:date|day|time|timestamp|on|at)$|date$", re.IGNORECASE)
_KEY_NAME: Final = re.compile(r"(?:^|_)id$", re.IGNORECASE)
_TYPE_END: Final = re.compile(
    r"\s+(?:PRIMARY|REFERENCES|NOT|NULL|DEFAULT|UNIQUE|CHECK|COLLATE|GENERATED)\b.*", re.IGNORECASE | re.DOTALL
)
_PLAIN_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED: Final = frozenset(
    word_list("""
        all and as asc by case check column default desc distinct end from group having in index is join key limit not
        null on or order primary references select table then to union unique user using values when where with
    """)
)


@dataclass(slots=True)
class Column:
    """`references` is (table, column) of a foreign key; `samples` are some of its values, not always all."""

    table: str
    name: str
    type: str = ""
    samples: tuple[str, ...] = ()
    references: tuple[str, str] | None = None
    is_primary: bool = False

    @property
    def sql(self) -> str:
        return f"{quoted(self.table)}.{quoted(self.name)}"

    @property
    def is_key(self) -> bool:
        return self.is_primary or self.references is not None or bool(_KEY_NAME.search(self.name))

    @property
    def is_number(self) -> bool:
        return bool(_NUMERIC.search(self.type)) and not self.is_key

    @property
    def is_date(self) -> bool:
        return bool(_TEMPORAL.search(self.type)) or (not self.is_number and bool(_DATE_NAME.search(self.name)))

    @property
    def is_text(self) -> bool:
        return not (self.is_key or self.is_number or self.is_date)


@dataclass(slots=True)
class Table:
    """A table or view."""

    name: str
    columns: list[Column] = field(default_factory=list)

    def column(self, name: str) -> Column | None:
        return next((one for one in self.columns if one.name == name), None)

    @property
    def key(self) -> Column | None:
        return next((one for one in self.columns if one.is_primary), None)


@dataclass
class Schema:
    """All tables of one database."""

    dialect: Dialect = "sqlite"
    tables: list[Table] = field(default_factory=list)

    def table(self, name: str) -> Table | None:
        return next((one for one in self.tables if one.name == name), None)

    @property
    def columns(self) -> Iterator[Column]:
        return (column for table in self.tables for column in table.columns)

    @cached_property
    def names(self) -> dict[str, list[tuple[tuple[str, ...], Table | Column]]]:
        """By the first word: the words of every name that a table or column goes by, "order status" being one."""
        names: dict[str, list[tuple[tuple[str, ...], Table | Column]]] = defaultdict(list)
        for table in self.tables:
            table_parts = name_parts(table.name)
            names["".join(table_parts[:1])].append((table_parts, table))
            for column in table.columns:
                parts = name_parts(column.name)
                names["".join(table_parts[:1])].append(((*table_parts, *parts), column))
                names["".join(parts[:1])].append((parts, column))
        return names


def parse_schema(text: str) -> Schema:
    """Read every table of the text."""
    schema = Schema("postgresql" if _POSTGRES.search(text) else "sqlite")
    table: Table | None = None
    for line in text.splitlines():
        code, comment = _split_comment(line)
        if opened := _TABLE.match(code):
            table = Table(_unquoted(opened[1]))
            schema.tables.append(table)
            code = opened[2]
        if table is not None and _read_line(table, code, comment):
            table = None
    _resolve_keys(schema)
    return schema


def quoted(name: str) -> str:
    """An identifier as SQL writes it: in quotes where it needs them."""
    if _PLAIN_NAME.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def _read_line(table: Table, code: str, comment: str) -> bool:
    """Read the columns that a line defines; say whether it closed the table."""
    definitions, closed = _split_definitions(code)
    for definition in definitions:
        _read_definition(table, definition)
    if definitions and table.columns and comment:
        table.columns[-1].samples = tuple(value.replace("''", "'") for value in _SAMPLE.findall(comment))
    return closed


def _read_definition(table: Table, definition: str) -> None:
    references = _REFERENCES.search(definition)
    target = (_unquoted(references[1]), _unquoted(references[2] or "")) if references else None
    if _CONSTRAINT.match(definition):
        own = _FOREIGN_KEY.search(definition) or _PRIMARY_KEY.search(definition)
        column = table.column(_unquoted(own[1])) if own else None
        if column:
            column.references = target or column.references
            column.is_primary = column.is_primary or target is None
    elif found := _COLUMN.match(definition):
        is_primary = bool(re.search(r"\bPRIMARY\s+KEY\b", found[2], re.IGNORECASE))
        kind = _TYPE_END.sub("", f" {found[2]}").strip()
        table.columns.append(Column(table.name, _unquoted(found[1]), kind, (), target, is_primary))


def _split_comment(line: str) -> tuple[str, str]:
    in_quotes = False
    for i, char in enumerate(line):
        in_quotes ^= char == "'"
        if not in_quotes and line.startswith("--", i):
            return line[:i], line[i + 2 :]
    return line, ""


def _split_definitions(code: str) -> tuple[list[str], bool]:
    """Cut at the commas outside brackets, up to the bracket that closes the table."""
    definitions: list[str] = []
    start = depth = 0
    for i, char in enumerate(code):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0:
            return [one for one in [*definitions, code[start:i]] if one.strip()], True
        if char == "," and depth == 0:
            definitions.append(code[start:i])
            start = i + 1
    return [one for one in [*definitions, code[start:]] if one.strip()], False


def _unquoted(path: str) -> str:
    return re.findall(_NAME, path)[-1].strip('"`[]') if path else ""


def _resolve_keys(schema: Schema) -> None:
    """A reference without a column means the primary key; one to a table that is not there means nothing."""
    for column in schema.columns:
        if column.references:
            table = schema.table(column.references[0])
            named = table and (table.column(column.references[1]) or table.key)
            column.references = (named.table, named.name) if named else None
