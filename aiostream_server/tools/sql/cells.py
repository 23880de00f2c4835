"""One value of a result: a number, a truth value, NULL, or text as the database itself writes it."""

import math
from decimal import Decimal
from typing import Final, TypeAlias

Cell: TypeAlias = str | int | float | Decimal | bool | None
"""A `Decimal` is finite and has the scale that the database gave it: money keeps its zeros."""

MAX_CELL_CHARS: Final = 2_000
MAX_BINARY_BYTES: Final = 32
_SIGNIFICANT_DIGITS: Final = 6
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def to_cell(value: object) -> Cell:
    """Finite numbers stay numbers; values of all other types become text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _NOT_FINITE[str(value)]
        case Decimal():
            return value if value.is_finite() and value.adjusted() < MAX_CELL_CHARS else str(value)
        case bytes() | bytearray() | memoryview():
            return f"({len(value)} bytes)" if len(value) > MAX_BINARY_BYTES else f"\\x{bytes(value).hex()}"
        case _:
            return str(value)


def is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)


def rounded(cell: Cell, places: int | None) -> Cell:
    """The cell; a number with at most `places` decimal places, or six significant digits where it is small."""
    if places is None or isinstance(cell, bool) or not isinstance(cell, float | Decimal):
        return cell
    number = Decimal(repr(cell)) if isinstance(cell, float) else cell
    if not number or -int(number.as_tuple().exponent) <= places:
        return cell
    kept = max(places, _SIGNIFICANT_DIGITS - 1 - number.adjusted())
    short = format(round(number, kept), "f").rstrip("0").rstrip(".")
    return float(short) if isinstance(cell, float) else Decimal(short)


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
    """The cell as text. Numbers have plain digits: no exponent, and floats no trailing `.0`."""
    match cell:
        case None:
            return "NULL"
        case bool():
            return "true" if cell else "false"
        case float():
            return _show_float(cell)
        case Decimal():
            return format(cell, "f")
        case _:
            return str(cell)


def _show_float(number: float) -> str:
    """The shortest text that is read back as the same number."""
    if not 1e-6 <= abs(number) < 1e21:
        return "0" if number == 0 else repr(number)
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
