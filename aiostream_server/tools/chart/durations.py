"""Durations as PostgreSQL writes them, in each of its four styles, as seconds.

A month has 30 days and a year 365.25, as in `extract(epoch from ...)`.
https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-INTERVAL-OUTPUT
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_YEAR: Final = 365.25 * 86_400
_MONTH: Final = 30 * 86_400.0
_SECONDS: Final = {
    "year": _YEAR,
    "mon": _MONTH,
    "day": 86_400.0,
    "hour": 3_600.0,
    "min": 60.0,
    "sec": 1.0,
}
_CLOCK: Final = r"(?P<sign>[+-]?)(?P<hours>\d{1,12}):(?P<minutes>\d\d)(?::(?P<seconds>\d\d(?:\.\d{1,6})?))?"
_FIELD: Final = re.compile(r"([+-]?\d{1,12}(?:\.\d{1,6})?) (year|mon|day|hour|min|sec)s?(?: |$)", re.ASCII)
_POSTGRES: Final = re.compile(rf"(?P<fields>(?:[+-]?\d+ (?:year|mon|day)s?(?: |$))*)(?:{_CLOCK})?", re.ASCII)
_VERBOSE: Final = re.compile(
    r"@ (?:0|(?P<fields>[+-]?\d+(?:\.\d+)? (?:year|mon|day|hour|min|sec)s?"
    r"(?: [+-]?\d+(?:\.\d+)? (?:year|mon|day|hour|min|sec)s?)*)(?P<ago> ago)?)",
    re.ASCII,
)
_NUMBER: Final = r"([+-]?\d{1,12}(?:\.\d{1,6})?)"
_ISO: Final = re.compile(
    rf"P(?=.)(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_ISO_SECONDS: Final = (_YEAR, _MONTH, 7 * 86_400.0, 86_400.0, 3_600.0, 60.0, 1.0)
_MIXED: Final = re.compile(
    rf"(?:(?P<years>[+-]?\d{{1,9}})-(?P<months>\d{{1,2}}) )?(?:(?P<days>[+-]?\d{{1,9}}) )?{_CLOCK}", re.ASCII
)
"""The SQL standard's style. Its years and months alone, `1-2`, may be anything: they count as no duration."""
_UNITS: Final = ((120.0, "seconds", 1.0), (7_200.0, "minutes", 60.0), (172_800.0, "hours", 3_600.0))


class Unit(NamedTuple):
    """`name` for people, and how many `seconds` it has."""

    name: str
    seconds: float


def read_duration(text: str) -> float | None:
    """Seconds; None for other text."""
    if not text or len(text) > 100:
        return None
    if found := _VERBOSE.fullmatch(text):
        seconds = _fields(found["fields"] or "")
        return -seconds if found["ago"] else seconds
    if found := _ISO.fullmatch(text):
        return sum(float(part or 0) * unit for part, unit in zip(found.groups(), _ISO_SECONDS, strict=True))
    if found := _POSTGRES.fullmatch(text):
        return _fields(found["fields"]) + _clock(found)
    if found := _MIXED.fullmatch(text):
        years, days = found["years"] or "0", float(found["days"] or 0)
        sign = -1 if years.startswith("-") else 1
        return float(years) * _YEAR + sign * float(found["months"] or 0) * _MONTH + days * 86_400 + _clock(found, days)
    return None


def best_unit(durations: Sequence[float | None]) -> Unit:
    """The unit in which the longest is a number that people grasp."""
    longest = max((abs(each) for each in durations if each is not None), default=0.0)
    for limit, name, seconds in _UNITS:
        if longest < limit:
            return Unit(name, seconds)
    return Unit("days", 86_400.0)


def _fields(text: str) -> float:
    return sum(float(number) * _SECONDS[unit] for number, unit in _FIELD.findall(text))


def _clock(found: re.Match[str], days: float = 0.0) -> float:
    """`-3 4:05:06` of the SQL standard's style: the sign of the days is that of the time, too."""
    if found["hours"] is None:
        return 0.0
    seconds = int(found["hours"]) * 3_600.0 + int(found["minutes"]) * 60.0 + float(found["seconds"] or 0)
    is_negative = found["sign"] == "-" or (not found["sign"] and days < 0)
    return -seconds if is_negative else seconds
