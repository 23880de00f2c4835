"""A number as people write it: all its digits where they end, fifteen that count where they do not."""

from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

_SIGNIFICANT: Final = 15
_MAX_PLACES: Final = 30
_ROUNDED: Final = Context(prec=_SIGNIFICANT)


def show_number(value: Fraction | float) -> str:
    """`127.5`, `0.3`, `0.333333333333333`, `1.5e+30`."""
    if isinstance(value, float):
        return _show_rounded(Decimal(value))
    if value.denominator == 1:
        return str(value.numerator)
    places = _places(value.denominator)
    if places is None:
        return _show_rounded(_ROUNDED.divide(Decimal(value.numerator), Decimal(value.denominator)))
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _places(denominator: int) -> int | None:
    """How many decimals a fraction over this has; None where they never end, or only after too many."""
    return next((n for n in range(1, _MAX_PLACES + 1) if 10**n % denominator == 0), None)


def _show_rounded(number: Decimal) -> str:
    number = _ROUNDED.plus(number).normalize(_ROUNDED)
    if number == 0:
        return "0"
    return format(number, "f") if -7 <= number.adjusted() < 21 else format(number, "e")
