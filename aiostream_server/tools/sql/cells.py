"""One value of a result: from the driver's type to a JSON value, and to text for people."""

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final, TypeAlias

Cell: TypeAlias = str | int | float | bool | None

MAX_CELL_CHARS: Final = 2_000


def to_cell(value: object) -> Cell:
    """Numbers stay numbers where they are exact; values of types that JSON does not have become text."""
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
    """The text; where it is longer than `MAX_CELL_CHARS`, its length, a colon, and its beginning.

    Only clipped text is longer than `MAX_CELL_CHARS`, which is how `unclip` recognises it. The databases clip values
    in the same form themselves.
    """
    return text if len(text) <= MAX_CELL_CHARS else f"{len(text)}:{text[:MAX_CELL_CHARS]}"


def unclip(cell: Cell) -> tuple[Cell, bool]:
    """The cell for people to read, and whether it was cut."""
    if not isinstance(cell, str) or len(cell) <= MAX_CELL_CHARS:
        return cell, False
    length, _, beginning = cell.partition(":")
    return f"{beginning}… ({length} characters)", True


def show_cell(cell: Cell) -> str:
    """The cell as text. Floats have plain digits: no exponent, no trailing `.0`; 0.30000000000000004 is 0.3."""
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
