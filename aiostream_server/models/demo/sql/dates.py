"""Time in questions: a column of dates cut into months or years, and "in March 2024" as a condition."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.sql.names import TimeUnit
from aiostream_server.models.demo.sql.schema_text import Column, Dialect
from aiostream_server.models.demo.word_list import word_list

MONTHS: Final = word_list("january february march april may june july august september october november december")
_MONTH: Final = rf"({'|'.join(MONTHS)}|{'|'.join(month[:3] for month in MONTHS)})"
_YEAR: Final = r"((?:19|20)\d\d)"
_QUARTERS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
_POSTGRES: Final[dict[TimeUnit, str]] = {
    "day": "YYYY-MM-DD",
    "week": 'IYYY-"W"IW',
    "month": "YYYY-MM",
    "quarter": 'YYYY-"Q"Q',
    "year": "YYYY",
}
_SQLITE: Final[dict[TimeUnit, str]] = {"day": "%Y-%m-%d", "week": "%Y-W%W", "month": "%Y-%m", "year": "%Y"}


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to and without `end`, ISO dates; or every year's `month`."""

    start: str = ""
    end: str = ""
    month: int = 0


def bucket(dialect: Dialect, column: Column, unit: TimeUnit) -> str:
    """SQL that gives the unit of time a date lies in, as text that sorts by time."""
    if dialect == "postgresql":
        value = (
            f"CAST({column.sql} AS DATE)"
            if "TEXT" in column.type.upper() or "CHAR" in column.type.upper()
            else column.sql
        )
        return f"to_char({value}, '{_POSTGRES[unit]}')"
    if unit == "quarter":
        return f"strftime('%Y', {column.sql}) || '-Q' || ((CAST(strftime('%m', {column.sql}) AS INTEGER) + 2) / 3)"
    return f"strftime('{_SQLITE[unit]}', {column.sql})"


def period_condition(dialect: Dialect, column: Column, period: Period) -> str:
    """SQL that is true within the period."""
    if period.month:
        month = bucket(dialect, column, "month").replace("%Y-%m", "%m").replace("YYYY-MM", "MM")
        return f"{month} = '{period.month:02d}'"
    after = f"{column.sql} >= '{period.start}'" if period.start else ""
    before = f"{column.sql} < '{period.end}'" if period.end else ""
    return " AND ".join(filter(None, (after, before)))


def find_period(text: str) -> Period | None:
    """The first period that a question (in lower case) speaks of, the most exact reading first."""
    return next((read(found) for found, read in _read_periods(text)), None)


def period_phrase(text: str) -> str:
    """The words (of a text in lower case) that `find_period` reads; empty where there are none."""
    return next((found[0] for found, _ in _read_periods(text)), "")


def _read_periods(text: str) -> Iterator[tuple[re.Match[str], Callable[[re.Match[str]], Period]]]:
    for pattern, read in _COMPILED:
        if found := pattern.search(text):
            yield found, read


def _month_number(name: str) -> int:
    return next(i for i, month in enumerate(MONTHS, start=1) if month[:3] == name[:3])


def _months(year: int, first: int, count: int) -> Period:
    end_year, end_month = divmod(year * 12 + first - 1 + count, 12)
    return Period(f"{year}-{first:02d}-01", f"{end_year}-{end_month + 1:02d}-01")


def _years(first: int, last: int) -> Period:
    return Period(f"{min(first, last)}-01-01", f"{max(first, last) + 1}-01-01")


_Reading = tuple[str, Callable[[re.Match[str]], Period]]
_READINGS: Final[tuple[_Reading, ...]] = (
    (rf"{_YEAR}-(0[1-9]|1[0-2])(?!-)", lambda m: _months(int(m[1]), int(m[2]), 1)),
    (rf"(?:since|after|from) {_YEAR}-(0[1-9]|1[0-2])-(\d\d)", lambda m: Period(start=f"{m[1]}-{m[2]}-{m[3]}")),
    (rf"(?:before|until) {_YEAR}-(0[1-9]|1[0-2])-(\d\d)", lambda m: Period(end=f"{m[1]}-{m[2]}-{m[3]}")),
    (rf"{_YEAR}-(0[1-9]|1[0-2])-(\d\d)", lambda m: Period(f"{m[1]}-{m[2]}-{m[3]}", f"{m[1]}-{m[2]}-{m[3]}T24")),
    (rf"q([1-4]),? (?:of |in )?{_YEAR}", lambda m: _months(int(m[2]), int(m[1]) * 3 - 2, 3)),
    (
        rf"(first|second|third|fourth|last) quarter (?:of |in )?{_YEAR}",
        lambda m: _months(int(m[2]), _QUARTERS[m[1]] * 3 - 2, 3),
    ),
    (rf"{_MONTH}\.?,? (?:of |in )?{_YEAR}", lambda m: _months(int(m[2]), _month_number(m[1]), 1)),
    (rf"(?:between|from) {_YEAR} (?:and|to|until|-) {_YEAR}", lambda m: _years(int(m[1]), int(m[2]))),
    (rf"{_YEAR} (?:and|vs\.?|versus|or|to|with) {_YEAR}", lambda m: _years(int(m[1]), int(m[2]))),
    (rf"since {_YEAR}", lambda m: Period(start=f"{m[1]}-01-01")),
    (rf"after {_YEAR}", lambda m: Period(start=f"{int(m[1]) + 1}-01-01")),
    (rf"before {_YEAR}", lambda m: Period(end=f"{m[1]}-01-01")),
    (rf"(?:until|up to) {_YEAR}", lambda m: Period(end=f"{int(m[1]) + 1}-01-01")),
    (rf"(?:in|of|during|for|year|from) {_YEAR}", lambda m: _years(int(m[1]), int(m[1]))),
    (rf"(?<!than )(?<!over ){_YEAR} (?:sales|revenue|orders)", lambda m: _years(int(m[1]), int(m[1]))),
    (rf"(?<!than )(?<!over ){_YEAR}(?=\W*$)", lambda m: _years(int(m[1]), int(m[1]))),
    (rf"(?:in|during|for) {_MONTH}", lambda m: Period(month=_month_number(m[1]))),
)
_COMPILED: Final = tuple((re.compile(rf"\b{pattern}\b"), read) for pattern, read in _READINGS)
