"""The columns of a result: found by name, their cells read as numbers, days or names."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aiostream_server.tools.chart.arguments import ChartProblem
from aiostream_server.tools.chart.labels import safe_label
from aiostream_server.tools.sql.cells import Cell, is_number, show_cell

_LARGEST: Final = 1e100  # beyond it, matplotlib's arithmetic with floats overflows
_NO_NAME: Final = "(none)"
_MONTH_CHARS: Final = len("2024-05")
_DAY: Final = re.compile(r"[12]\d{3}-\d\d(-\d\d.*)?", re.ASCII)  # years 1000 to 2999: others rarely mean a day
_SECONDS_OF_DAY: Final = 86_400.0


def find_column(columns: Sequence[str], name: str) -> int:
    """The index of the column. Case counts only where several columns differ by nothing else. Raises `ChartProblem`."""
    if name in columns:
        return columns.index(name)
    found = [index for index, column in enumerate(columns) if column.strip().casefold() == name.strip().casefold()]
    if len(found) == 1:
        return found[0]
    known = ", ".join(safe_label(column) for column in columns[:20])
    raise ChartProblem(f"there is no column {safe_label(name)!r}; there are {known or 'none'}")


def cell_name(cell: Cell) -> str:
    """The cell as a label."""
    return _NO_NAME if cell is None else safe_label(show_cell(cell)) or _NO_NAME


def numbers(column: str, cells: Sequence[Cell]) -> list[float | None]:
    """NULL becomes None; text that is a number counts as one. Raises `ChartProblem` for any other cell."""
    return [None if cell is None else _number(column, cell) for cell in cells]


def are_numbers(cells: Sequence[Cell]) -> bool:
    """Whether all cells that are not NULL are numbers, and there is at least one."""
    known = [cell for cell in cells if cell is not None]
    return bool(known) and all(map(is_number, known))


def days(cells: Sequence[Cell]) -> list[float] | None:
    """Days since 1970, where every cell is a month, a date, or a date with a time: `2024-05`, `2024-05-31 12:00`.

    None where a cell is something else. A time zone is ignored.
    """
    try:
        return [_day(cell) for cell in cells] or None
    except ValueError:
        return None


def _number(column: str, cell: str | float | Decimal) -> float:
    try:
        number = math.nan if isinstance(cell, bool) else float(cell)
    except ValueError:
        number = math.nan
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise ChartProblem(f"the column {safe_label(column)!r} holds {safe_label(str(cell))!r}, which is no number")
    if abs(number) > _LARGEST:
        raise ChartProblem(f"the column {safe_label(column)!r} holds a number that is too large to draw")
    return number


def _day(cell: Cell) -> float:
    if not isinstance(cell, str) or not _DAY.fullmatch(cell):
        raise ValueError("not a day")
    day = datetime.fromisoformat(f"{cell}-01" if len(cell) == _MONTH_CHARS else cell)
    return day.replace(tzinfo=UTC).timestamp() / _SECONDS_OF_DAY
