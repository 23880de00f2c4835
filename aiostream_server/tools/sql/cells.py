"""One value of a result: a number, a truth value, NULL, or text as the database itself writes it."""

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final, TypeAlias

Cell: TypeAlias = str | int | float | Decimal | bool | None
"""A `Decimal` is finite and has the scale that the database gave it: money keeps its zeros."""

MAX_CELL_CHARS: Final = 2_000
MAX_BINARY_BYTES: Final = 32
_SIGNIFICANT_DIGITS: Final = 6
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


@dataclass(frozen=True, slots=True)
class Clipped:
    """A text of `size` characters, of which the database sent only the beginning."""

    beginning: str
    size: int

    def __str__(self) -> str:
        return f"{self.beginning}… ({self.size} characters)"


@dataclass(frozen=True, slots=True)
class Binary:
    """A value of `size` bytes, in hexadecimal; of a long one the database sent only the beginning."""

    hex: str
    size: int

    @property
    def is_whole(self) -> bool:
        return len(self.hex) == 2 * self.size


def to_cell(value: object) -> tuple[Cell, bool]:
    """The value for a table, and whether it was shortened. Only numbers and truth values do not become text."""
    match value:
        case None | bool() | int():
            return value, False
        case str():
            if len(value) <= MAX_CELL_CHARS:
                return value, False
            return str(Clipped(value[:MAX_CELL_CHARS], len(value))), True
        case float():
            return value if math.isfinite(value) else _NOT_FINITE[str(value)], False
        case Decimal():
            return value if value.is_finite() and value.adjusted() < MAX_CELL_CHARS else str(value), False
        case Clipped():
            return str(Clipped(value.beginning[:MAX_CELL_CHARS], value.size)), True
        case Binary():
            return f"({value.size} bytes)" if value.size > MAX_BINARY_BYTES else f"\\x{value.hex}", False
        case _:
            return to_cell(str(value))


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
    digits = Context(prec=max(1, number.adjusted() + kept + 2))  # the default's 28 are too few for a long `numeric`
    short = format(number.quantize(Decimal((0, (1,), -kept)), context=digits), "f").rstrip("0").rstrip(".")
    return float(short) if isinstance(cell, float) else Decimal(short)


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
    if number and not 1e-6 <= abs(number) < 1e21:
        return repr(number)
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
