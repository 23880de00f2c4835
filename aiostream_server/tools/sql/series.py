"""How many rows `generate_series` gives, where its bounds are literals: whole numbers, dates or timestamps."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlglot import exp

_UNITS_S: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_419_200}
_YEAR_S: Final = 31_536_000
_STEP: Final = re.compile(r"\s*(\d{1,9})\s*([a-z]+?)s?\s*", re.IGNORECASE)


def series_length(arguments: Sequence[exp.Expr]) -> float:
    """The number of rows at most; infinity where that cannot be told from literals."""
    if not 2 <= len(arguments) <= 3:
        return math.inf
    first, last = (_number(each) for each in arguments[:2])
    step = _number(arguments[2]) if len(arguments) == 3 else 1.0
    if first is None or last is None or not step:
        return math.inf
    return max(0.0, (last - first) / step + 1)


def _number(node: exp.Expr) -> float | None:
    """A number, the seconds of a point in time, or the seconds that an interval has at least."""
    match node:
        case exp.Neg():
            inner = _number(node.this)
            return None if inner is None else -inner
        case exp.Literal() if not node.is_string:
            return float(node.this)
        case exp.Cast() if node.to.this is exp.DType.INTERVAL:
            return _interval(node.this.name)
        case exp.Cast():
            return _moment(node.this.name) if isinstance(node.this, exp.Literal) else None
        case exp.Interval():
            return _interval(
                f"{node.this.name if node.this else ''} {node.args['unit'].name if node.args.get('unit') else ''}"
            )
        case exp.Literal():
            return _moment(node.this) if node.this[:1].isdigit() and "-" in node.this else _interval(node.this)
    return None


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _interval(text: str) -> float | None:
    match = _STEP.fullmatch(text)
    if match is None:
        return None
    unit = match[2].lower()
    length = (
        _YEAR_S if unit == "year" else _UNITS_S.get({"mon": "month", "min": "minute", "sec": "second"}.get(unit, unit))
    )
    return None if length is None else int(match[1]) * float(length)
