"""Cells of a result as numbers and days. A cell is what `tools.sql.cells` makes of a database's value, or JSON's."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final, TypeAlias

from aiostream_server.tools.chart.errors import ChartProblem
from aiostream_server.tools.chart.labels import shown

Cell: TypeAlias = str | int | float | bool | None

LARGEST: Final = 1e100
"""Of a larger number nobody would read an axis, and a step beyond it floats end."""

_NUMBER: Final = re.compile(
    r"\s*[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?\s*", re.ASCII
)
# From the year 1000 to 2999: what is beyond stands for something else than a day.
_DAY: Final = re.compile(
    r"([12][0-9]{3})-([0-9]{2})(?:-([0-9]{2})(?:[ T]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\S*)?)?", re.ASCII
)
_SECONDS_OF_DAY: Final = 86_400.0


def numbers(column: str, cells: Sequence[Cell]) -> list[float | None]:
    """Raises `ChartProblem` for a cell that is no number. NULL is None; text that is nothing but a number is one."""
    return [None if cell is None else _number(column, cell) for cell in cells]


def are_numbers(cells: Sequence[Cell]) -> bool:
    """Whether all that is there are numbers, written as such."""
    known = [cell for cell in cells if cell is not None]
    return bool(known) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known)


def days(cells: Sequence[Cell]) -> list[float] | None:
    """Days since 1970 where every cell is a date, a month, or a date with a time: `2024-05`, `2024-05-31 12:00`."""
    found = [_day(cell) for cell in cells]
    known = [day for day in found if day is not None]
    return known if known and len(known) == len(cells) else None


def _number(column: str, cell: Cell) -> float:
    if isinstance(cell, bool) or (isinstance(cell, str) and not _NUMBER.fullmatch(cell)):
        raise ChartProblem(f"the column {shown(column)!r} holds {shown(str(cell))!r}, which is no number")
    try:
        number = float(cell) if cell is not None else math.nan
    except OverflowError:
        number = math.inf
    if not abs(number) <= LARGEST:  # nan as well
        raise ChartProblem(f"the column {shown(column)!r} holds a number that is too large to draw")
    return number


def _day(cell: Cell) -> float | None:
    match = _DAY.fullmatch(cell) if isinstance(cell, str) else None
    if match is None:
        return None
    try:
        day = date(int(match[1]), int(match[2]), int(match[3] or 1))
        clock = datetime.strptime(match[4][:5], "%H:%M").replace(tzinfo=UTC) if match[4] else None
    except ValueError:
        return None
    seconds = clock.hour * 3600 + clock.minute * 60 if clock is not None else 0
    return (day - date(1970, 1, 1)).days + seconds / _SECONDS_OF_DAY
