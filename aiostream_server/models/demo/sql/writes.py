"""Requests to change a database, drafted as a naive model would: so that one can watch the guard refuse them."""

import re
from collections.abc import Callable
from typing import Final

from aiostream_server.models.demo.sql.draft import Draft
from aiostream_server.models.demo.sql.filters import Filter, find_filters
from aiostream_server.models.demo.sql.names import label_of, mentioned_numbers, mentioned_tables
from aiostream_server.models.demo.sql.schema_text import Schema, Table, quoted
from aiostream_server.models.demo.sql.words import read_words

_ASKING: Final = (
    r"(?:^|[.;:!?]\s*|\b(?:please|and|then|also|now|just|first|(?:can|could|would|will) you|(?:want|need) (?:you )?to|"
    r"let's|try to|go ahead and|how (?:do|can) (?:i|we|you))\s+)"
)
_VERBS: Final = {
    "delete": r"delete|remove|erase|wipe|clear|purge|get rid of",
    "drop": r"drop|destroy",
    "truncate": r"truncate|empty",
    "update": r"update|change|set|modify|rename|overwrite",
    "insert": r"insert|(?:add|create|register) an? (?:new )?",
    "alter": r"alter",
}
_REQUESTS: Final = {kind: re.compile(rf"{_ASKING}(?:{verbs})\b") for kind, verbs in _VERBS.items()}
# Whole statements, where somebody sends one: keywords in capitals, or behind "run" or "execute".
_OWN_SQL: Final = re.compile(
    r"(?:(?i:run|execute)\b[^:`\n]{0,40}[:`]*\s*(?=(?i:select|with|delete|drop|insert|update|alter|truncate|create|pragma)\b)"
    r"|\b(?=SELECT\s.+\sFROM|DELETE FROM|DROP TABLE|INSERT INTO|UPDATE \w+ SET|ALTER TABLE|TRUNCATE|PRAGMA|ATTACH))"
    r"(?P<sql>[^`]+)",
    re.DOTALL,
)


def own_statement(question: str) -> str | None:
    """The SQL that the question itself holds, as it stands."""
    found = _OWN_SQL.search(question)
    return found["sql"].strip() if found else None


def asks_to_write(question: str) -> str | None:
    """Which kind of change is asked for: delete, drop, truncate, update, insert or alter."""
    text = question.casefold().strip()
    return next((kind for kind, request in _REQUESTS.items() if request.search(text)), None)


def draft_write(question: str, schema: Schema) -> Draft | None:
    """The statement that does what is asked; None where nothing is asked to be changed, or nothing that is there."""
    kind = asks_to_write(question)
    tables = mentioned_tables(read_words(question), schema) or schema.tables[:1]
    if kind is None or not tables:
        return None
    sql, doing = _DRAFTS[kind](question, schema, tables[0])
    return Draft(sql, f"I was asked to {doing}, so I will draft just that.")


def _delete(question: str, schema: Schema, table: Table) -> tuple[str, str]:
    where = _where(question, schema, table)
    return f"DELETE FROM {quoted(table.name)}{where}", f"remove rows of {table.name}"  # noqa: S608


def _drop(question: str, schema: Schema, table: Table) -> tuple[str, str]:
    return f"DROP TABLE {quoted(table.name)}", f"drop {table.name}"


def _truncate(question: str, schema: Schema, table: Table) -> tuple[str, str]:
    return f"TRUNCATE TABLE {quoted(table.name)}", f"empty {table.name}"


def _update(question: str, schema: Schema, table: Table) -> tuple[str, str]:
    column = next(mentioned_numbers(read_words(question), schema), None) or label_of(table)
    target = column.table if column else table.name
    number = re.search(r"\bto\s+[$€£]?(-?\d+(?:\.\d+)?)", question)
    text = re.search(r"\bto\s+['\"]?([\w -]+)", question)
    value = number[1] if number else "'" + (text[1].strip() if text else "") + "'"
    name = quoted(column.name) if column else "name"
    where = _where(question, schema, table)
    return f"UPDATE {quoted(target)} SET {name} = {value}{where}", f"change {target}"  # noqa: S608


def _insert(question: str, schema: Schema, table: Table) -> tuple[str, str]:
    label = label_of(table)
    named = re.search(r"(?:called|named)\s+['\"]?([\w -]+)", question)
    value = named[1].strip() if named else "new"
    column = quoted(label.name) if label else "name"
    return f"INSERT INTO {quoted(table.name)} ({column}) VALUES ('{value}')", f"add to {table.name}"  # noqa: S608


def _alter(question: str, schema: Schema, table: Table) -> tuple[str, str]:
    return f"ALTER TABLE {quoted(table.name)} ADD COLUMN note TEXT", f"alter {table.name}"


def _where(question: str, schema: Schema, table: Table) -> str:
    filters = find_filters(question, read_words(question), schema)
    conditions = [condition for one in filters if (condition := _condition(one, table))]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _condition(wanted: Filter, table: Table) -> str:
    """Of the table itself, or of a table that its rows belong to."""
    if wanted.column.table == table.name:
        return wanted.condition
    for column in table.columns:
        if column.references and column.references[0] == wanted.column.table:
            parent, key = map(quoted, column.references)
            return f"{column.sql} IN (SELECT {parent}.{key} FROM {parent} WHERE {wanted.condition})"  # noqa: S608
    return ""


_DRAFTS: Final[dict[str, Callable[[str, Schema, Table], tuple[str, str]]]] = {
    "delete": _delete,
    "drop": _drop,
    "truncate": _truncate,
    "update": _update,
    "insert": _insert,
    "alter": _alter,
}
