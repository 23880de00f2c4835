"""How PostgreSQL sends values: numbers as such, all other types as text, as in `psql`, and long values clipped.

The text is in the session's time zone and styles. The server clips, because one `array_agg` over a cross join would be
hundreds of megabytes, which the driver would decode in the event loop.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import asyncpg

from aiostream_server.tools.sql.cells import MAX_BINARY_BYTES, MAX_CELL_CHARS, Binary, Clipped

_MAX_STEP: Final = 256  # rows
_MAX_STEP_CHARS: Final = 2 * 1024**2
_SHORT_CHARS: Final = 200
_FIXED_SIZE: Final = frozenset(("bool", "int2", "int4", "int8", "oid", "float8"))
_SHORT: Final = frozenset(
    (*_FIXED_SIZE, "float4", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "money", "inet")
)
_CAST_DIFFERS: Final = frozenset(("bpchar", "inet"))
"""The cast of these types to text is not their output: it takes blanks away, or adds a netmask."""
_READ_FROM_TEXT: Final[Mapping[str, Callable[[str], object]]] = {"numeric": Decimal, "float4": float}
_TITLES: Final[Mapping[str, str]] = {
    "bool": "boolean",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bpchar": "character",
    "varchar": "character varying",
    "varbit": "bit varying",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}
"""As `format_type` names them, where that is not the type's own name."""


class ResultColumn(NamedTuple):
    """`type` is the name of a type in `pg_catalog`, empty for a user-defined type; `title` is a name for people."""

    name: str
    type: str
    title: str


def size_limits(columns: Sequence[ResultColumn], value_chars: int) -> tuple[int, int]:
    """How many characters of a value are sent, `value_chars` at most, and how many rows at once."""
    long_columns = max(1, sum(column.type not in _SHORT for column in columns))
    value_chars = min(value_chars, max(MAX_CELL_CHARS, _MAX_STEP_CHARS // long_columns))
    row_chars = sum(_most_chars(column.type, value_chars) for column in columns)
    return value_chars, max(1, min(_MAX_STEP, _MAX_STEP_CHARS // row_chars))


def _most_chars(kind: str, value_chars: int) -> int:
    """No number needs as many digits as a text may have letters."""
    return min(value_chars, MAX_CELL_CHARS) if kind == "numeric" else _SHORT_CHARS if kind in _SHORT else value_chars


def reader(kind: str, value_chars: int) -> Callable[[str], object] | None:
    """Makes a value of the text that the server sent; None where the driver does that."""
    if kind in _FIXED_SIZE:
        return None
    if kind == "bytea":
        return _binary
    read, value_chars = _READ_FROM_TEXT.get(kind, str), _most_chars(kind, value_chars)

    def read_text(text: str) -> object:
        if len(text) <= value_chars:
            return read(text)
        size, _, beginning = text.partition(":")
        return Clipped(beginning, int(size))

    return read_text


def _binary(text: str) -> Binary:
    size, _, digits = text.partition(":")
    return Binary(digits, int(size))


def result_columns(statement: asyncpg.prepared_stmt.PreparedStatement) -> list[ResultColumn]:
    """The columns of a prepared statement, which has not run yet."""
    return [
        ResultColumn(
            found.name, found.type.name if found.type.schema == "pg_catalog" else "", _type_title(found.type.name)
        )
        for found in statement.get_attributes()
    ]


def _type_title(name: str) -> str:
    element = name.removesuffix("[]")
    return _TITLES.get(element, element) + name[len(element) :]


def clip_in_server(sql: str, columns: Sequence[ResultColumn], most: int) -> str:
    """Wrap `sql`, a prepared SELECT with these columns, in a SELECT that clips values of more than `most` characters.

    Plain numbers stay as they are, all other types become text. Of a clipped value the length, a colon, and the
    beginning are sent, of a `bytea` always. PostgreSQL keeps the row order: it does not reorder what a projection reads
    from an ordered subquery.
    """
    names = [f"c{number}" for number in range(1, len(columns) + 1)]
    written = [_as_text(name, column.type, most) for name, column in zip(names, columns, strict=True)]
    shown = [_clipped(name, column.type, most) for name, column in zip(names, columns, strict=True)]
    # OFFSET 0 keeps the planner from merging the subqueries, so that each value is computed and cast to text once.
    inside = f"SELECT {', '.join(written)} FROM (\n{sql}\n) AS approved ({', '.join(names)}) OFFSET 0"  # noqa: S608
    return f"SELECT {', '.join(shown)} FROM ({inside}) AS written"  # noqa: S608


def _as_text(name: str, kind: str, most: int) -> str:
    if kind in _FIXED_SIZE:
        return name
    if kind == "bytea":
        beginning = f"substring({name} FROM 1 FOR {MAX_BINARY_BYTES if most <= MAX_CELL_CHARS else most // 2})"
        return f"octet_length({name}) || ':' || encode({beginning}, 'hex') AS {name}"
    if kind in _CAST_DIFFERS:
        return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END AS {name}"
    return f"CAST({name} AS text) AS {name}"


def _clipped(name: str, kind: str, most: int) -> str:
    if kind in _FIXED_SIZE or kind == "bytea":
        return name
    most = _most_chars(kind, most)
    clip = f"length({name}) || ':' || left({name}, {most})"
    return f"CASE WHEN length({name}) > {most} THEN {clip} ELSE {name} END"
