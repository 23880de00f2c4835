"""A PostgreSQL statement put into another one, so that the server itself cuts values that are too long to show.

Without it, one `array_agg` over a cross join sends hundreds of megabytes, which the driver decodes in the event loop.
Values of fixed size pass as they are; everything else comes as text in the form of `cells.clip`, `bytea` as its length.
Row order stays: PostgreSQL has no reason to reorder what a projection reads from an ordered subquery.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from aiostream_server.tools.sql.cells import MAX_CELL_CHARS

_FIXED_SIZE: Final = frozenset(
    (
        *("bool", "int2", "int4", "int8", "oid", "float4", "float8", "uuid", "inet", "cidr"),
        *("date", "time", "timetz", "timestamp", "timestamptz", "interval"),
    )
)


class ResultColumn(NamedTuple):
    """`type` is the name of PostgreSQL's own type, empty for one that somebody made."""

    name: str
    type: str


def clip_in_server(sql: str, columns: Sequence[ResultColumn]) -> str:
    """`sql` must be one complete SELECT with these columns: PostgreSQL has prepared it."""
    names = [f"c{number}" for number in range(1, len(columns) + 1)]
    written = [_written(name, column.type) for name, column in zip(names, columns, strict=True)]
    shown = [_shown(name, column.type) for name, column in zip(names, columns, strict=True)]
    # OFFSET 0 keeps the planner from merging the levels: each value is computed, and written as text, once.
    inside = f"SELECT {', '.join(written)} FROM (\n{sql}\n) AS approved ({', '.join(names)}) OFFSET 0"  # noqa: S608
    return f"SELECT {', '.join(shown)} FROM ({inside}) AS written"  # noqa: S608


def _written(name: str, kind: str) -> str:
    if kind in _FIXED_SIZE:
        return name
    if kind == "bytea":
        return f"'(' || octet_length({name}) || ' bytes)' AS {name}"
    return f"CAST({name} AS text) AS {name}"


def _shown(name: str, kind: str) -> str:
    if kind in _FIXED_SIZE:
        return name
    clip = f"length({name}) || ':' || left({name}, {MAX_CELL_CHARS})"
    return f"CASE WHEN length({name}) > {MAX_CELL_CHARS} THEN {clip} ELSE {name} END"
