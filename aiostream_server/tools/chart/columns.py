"""The columns of a result: found by name, their cells read as amounts, days or names.

The cells are what the table shows, so a value is drawn as it reads: a point in time in the session's zone.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aiostream_server.tools.chart.arguments import ChartProblem
from aiostream_server.tools.chart.durations import read_duration
from aiostream_server.tools.chart.labels import safe_label
from aiostream_server.tools.sql.cells import Cell, is_number, show_cell

_LARGEST: Final = 1e100  # beyond it, matplotlib's arithmetic with floats overflows
_NO_NAME: Final = "(none)"
_MONTH_CHARS: Final = len("2024-05")
_DATE_CHARS: Final = len("2024-05-31")
_MIDNIGHT: Final = re.compile(r"[12]\d{3}-\d\d-\d\d[ T]00:00(:00(\.0+)?)?([+-]\d\d(:?\d\d)?)?", re.ASCII)
_DAY: Final = re.compile(r"[12]\d{3}-\d\d(-\d\d.*)?", re.ASCII)  # years 1000 to 2999: others rarely mean a day
_NO_DAY: Final = re.compile(r"-?infinity|\d{4,7}-\d\d-\d\d(?: .*)?", re.ASCII)
"""Beyond the calendar of a chart: `infinity`, `0044-03-15 BC`, the year 294276."""
_SECONDS_OF_DAY: Final = 86_400.0
_NOT_FINITE: Final = frozenset(("nan", "infinity", "-infinity", "inf", "-inf"))
_CURRENCIES: Final = frozenset(("kr", "zł", "Kč", "Ft", "lei", "Fr.", "CHF", "RM", "Rp"))  # without a sign in Unicode
_MONEY: Final = re.compile(
    r"(?P<sign>-?)(?P<front>[^\d\s,+-]{0,3}) ?(?P<inner>-?)"
    r"(?P<number>\d[\d.,' \u00a0\u202f]*?) ?(?P<back>[^\d\s,+-]{0,3})"
)
_DECIMALS: Final = re.compile(r"(?P<whole>.*?)(?:[.,](?P<places>\d{1,2}))?", re.DOTALL)
_OTHER_KINDS: Final = (
    (re.compile(r"[{\[].*[}\]]", re.DOTALL), "a list or an object: select one element of it"),
    (re.compile(r"[\[(].*,.*[\])]", re.DOTALL), "a range or a row: select one part of it, such as lower(...)"),
    (re.compile(r"\d{4}-\d\d(-\d\d.*)?", re.DOTALL), "a date: put it on the x axis"),
    (re.compile(r"true|false"), "a truth value: count the rows instead"),
)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Numbers to draw: None is a gap. Durations are in seconds. `not_finite` of the gaps are NaN or infinite."""

    values: tuple[float | None, ...]
    are_durations: bool = False
    not_finite: int = 0


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


def amounts(column: str, cells: Sequence[Cell]) -> Amounts:
    """Numbers, sums of money, or durations. NULL, NaN and infinity are gaps.

    Text that is a number counts as one. Raises `ChartProblem` for any other cell.
    """
    values, not_finite, durations, plain = list[float | None](), 0, 0, 0
    for cell in cells:
        text = cell.strip() if isinstance(cell, str) else ""
        if cell is None:
            values.append(None)
        elif text.lower() in _NOT_FINITE or (isinstance(cell, float) and not math.isfinite(cell)):
            values.append(None)
            not_finite += 1
        elif (number := _number(cell)) is not None:
            if abs(number) > _LARGEST:
                raise ChartProblem(f"the column {safe_label(column)!r} holds a number that is too large to draw")
            values.append(number)
            plain += number != 0  # the SQL standard's style writes an empty interval as 0
        elif (seconds := read_duration(text)) is not None:
            values.append(seconds)
            durations += 1
        else:
            raise ChartProblem(f"the column {safe_label(column)!r} holds {_no_number(cell)}")
    if durations and plain:
        raise ChartProblem(f"the column {safe_label(column)!r} holds durations and numbers: draw one of them")
    return Amounts(tuple(values), durations > 0, not_finite)


def are_amounts(column: str, cells: Sequence[Cell]) -> bool:
    """Whether `cells` are numbers, money or durations, and not text that only looks like numbers, such as codes."""
    known = [cell for cell in cells if cell is not None and not _is_not_finite(cell)]
    if not known or not all(is_number(cell) or (isinstance(cell, str) and not _is_plain(cell)) for cell in known):
        return False
    try:
        return any(value is not None for value in amounts(column, cells).values)
    except ChartProblem:
        return False


def _is_not_finite(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.strip().lower() in _NOT_FINITE


def _is_plain(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def days(cells: Sequence[Cell]) -> list[float | None] | None:
    """Days since 1970, where every cell is a month, a date, or a date with a time: `2024-05`, `2024-05-31 12:00`.

    None for a date that no calendar of a chart has, such as infinity or one BC. The whole result is None where a cell
    is something else, or no cell is a day. The time is that of the session's time zone, as it reads.
    """
    try:
        found = [None if isinstance(cell, str) and _is_beyond(cell) else _day(cell) for cell in cells]
    except ValueError:
        return None
    return found if any(day is not None for day in found) else None


def midnights(cells: Sequence[Cell]) -> list[str] | None:
    """`2024-03-01 00:00:00+01` as `2024-03-01`, and as `2024-03` where all are firsts of a month; else None."""
    texts = [cell for cell in cells if isinstance(cell, str) and _MIDNIGHT.fullmatch(cell)]
    if not texts or len(texts) < len(cells):
        return None
    are_months = len(texts) > 1 and all(text[8:10] == "01" for text in texts)
    names = [text[: _MONTH_CHARS if are_months else _DATE_CHARS] for text in texts]
    return names if len(set(names)) == len(set(texts)) else None


def _is_beyond(text: str) -> bool:
    return (_NO_DAY.fullmatch(text) is not None and not _DAY.fullmatch(text)) or text.endswith(" BC")


def _number(cell: str | float | Decimal) -> float | None:
    """None for what is no number and no sum of money."""
    if isinstance(cell, bool):
        return None
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except ValueError:
        return _money(cell) if isinstance(cell, str) else None


def _money(text: str) -> float | None:
    """`-$1,234.50`, `1.234,50 €`: with a currency, and in the style of any country."""
    found = _MONEY.fullmatch(text.strip())
    if found is None or not _is_currency(found["front"] + found["back"]):
        return None
    parts = _DECIMALS.fullmatch(found["number"])
    if parts is None:
        return None
    whole = re.sub(r"\D", "", parts["whole"])
    return float(f"{found['sign'] or found['inner']}{whole or 0}.{parts['places'] or 0}")


def _is_currency(text: str) -> bool:
    return text in _CURRENCIES or (0 < len(text) <= 3 and any(unicodedata.category(sign) == "Sc" for sign in text))


def _no_number(cell: Cell) -> str:
    text = show_cell(cell)
    shown = repr(safe_label(text))
    for pattern, what in _OTHER_KINDS:
        if pattern.fullmatch(text):
            return f"{shown}, which is no number but {what}"
    return f"{shown}, which is no number"


def _day(cell: Cell) -> float:
    if not isinstance(cell, str) or not _DAY.fullmatch(cell):
        raise ValueError("not a day")
    day = datetime.fromisoformat(f"{cell}-01" if len(cell) == _MONTH_CHARS else cell)
    return day.replace(tzinfo=UTC).timestamp() / _SECONDS_OF_DAY
