"""One value of a result: what the driver gave becomes something that JSON has, and something a person reads."""

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final, TypeAlias

Cell: TypeAlias = str | int | float | bool | None

MAX_CELL_CHARS: Final = 2_000


def to_cell(value: object) -> Cell:
    """Numbers stay numbers where nothing is lost; everything that JSON has no word for is text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return _from_decimal(value)
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return f"({len(value)} bytes)"
        case _:
            return str(value)


def _from_decimal(value: Decimal) -> int | float | str:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value():
        return int(value) if value.adjusted() < MAX_CELL_CHARS else str(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else format(value, "f")


def clip(text: str) -> str:
    """The text, or where it is too long to show, its length, a colon, and its beginning.

    Only what was clipped is longer than `MAX_CELL_CHARS`. The databases do this where the value is made.
    """
    return text if len(text) <= MAX_CELL_CHARS else f"{len(text)}:{text[:MAX_CELL_CHARS]}"


def unclip(cell: Cell) -> tuple[Cell, bool]:
    """The cell as a person reads it, and whether anything of it was cut."""
    if not isinstance(cell, str) or len(cell) <= MAX_CELL_CHARS:
        return cell, False
    length, _, beginning = cell.partition(":")
    return f"{beginning}… ({length} characters)", True


def show_cell(cell: Cell) -> str:
    """Plain digits: no exponent, no trailing `.0`, no binary noise (0.30000000000000004 is 0.3)."""
    match cell:
        case None:
            return "NULL"
        case bool():
            return "true" if cell else "false"
        case float():
            return _show_float(cell)
        case _:
            return str(cell)


def _show_float(number: float) -> str:
    if not 1e-6 <= abs(number) < 1e21:
        return "0" if number == 0 else repr(number)
    text = format(Decimal(format(number, ".15g")), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
