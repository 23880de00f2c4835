"""Bounded arithmetic: fractions while all operands are rational, floats after the first irrational one.

The size of a power is checked before it is computed, and every result against `MAX_BITS`, so no step is expensive.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, TypeAlias

Value: TypeAlias = Fraction | float

MAX_BITS: Final = 4_096  # about 1,200 digits
_MAX_ROUND_PLACES: Final = 100
_MAX_FACTORIAL: Final = 400
_MAX_ARGUMENTS: Final = 50
_MAX_SHOWN_PLACES: Final = 30
_FIFTEEN_DIGITS: Final = Context(prec=15)
_CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi, "e": math.e, "tau": math.tau, "π": math.pi}


class CalculationError(ValueError):
    """The expression has no value here. The message says what is wrong, and at which character."""


def constant(name: str, position: int) -> float:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name in _FUNCTIONS:
        raise CalculationError(f"{name} at character {position} needs brackets: {name}(...)")
    raise CalculationError(f"{name} at character {position} is not known; {_known_names()}")


def operate(operator: str, left: Value, right: Value, position: int) -> Value:
    """The result of `+ - * / // % **`. Raises `CalculationError` where there is none or it is too large."""
    try:
        return _bounded(_OPERATORS[operator](left, right))
    except ZeroDivisionError as exc:
        raise CalculationError(f"division by zero at character {position}") from exc
    except OverflowError as exc:
        raise CalculationError(f"the result at character {position} is too large") from exc


def call(name: str, arguments: Sequence[Value], position: int) -> Value:
    """The result of a function. Raises `CalculationError` where there is none or it is too large."""
    function = _FUNCTIONS.get(name)
    if function is None:
        raise CalculationError(f"the function {name} at character {position} is not known; {_known_names()}")
    if not function.least <= len(arguments) <= function.most:
        wanted = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
        raise CalculationError(f"{name} at character {position} takes {wanted} values, not {len(arguments)}")
    try:
        return _bounded(function.compute(*arguments))
    except CalculationError:
        raise
    except (ValueError, ZeroDivisionError) as exc:
        raise CalculationError(f"{name} at character {position} has no value there") from exc
    except OverflowError as exc:
        raise CalculationError(f"the result of {name} at character {position} is too large") from exc


def show_number(value: Value) -> str:
    """All digits where they end, else fifteen: `127.5`, `0.3`, `0.333333333333333`, `1.5e+30`."""
    if isinstance(value, float):
        return _show_rounded(Decimal(value))
    if value.denominator == 1:
        return str(value.numerator)
    # None where the decimals never end, or only after too many places
    places = next((n for n in range(1, _MAX_SHOWN_PLACES + 1) if 10**n % value.denominator == 0), None)
    if places is None:
        return _show_rounded(_FIFTEEN_DIGITS.divide(Decimal(value.numerator), Decimal(value.denominator)))
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _show_rounded(number: Decimal) -> str:
    number = _FIFTEEN_DIGITS.plus(number).normalize(_FIFTEEN_DIGITS)
    if number == 0:
        return "0"
    return format(number, "f") if -7 <= number.adjusted() < 21 else format(number, "e")


def _known_names() -> str:
    return f"there are: {', '.join(sorted([*_CONSTANTS, *_FUNCTIONS]))}"


def _bounded(value: Value) -> Value:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CalculationError("the result is too large")
        return value
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise CalculationError("the result has too many digits")
    return value


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if size > 1 and abs(exponent) * (size - 1) > MAX_BITS:
            raise CalculationError("the result of the power has too many digits")
        if abs(exponent) > MAX_BITS:  # the base is 0, 1 or -1: only sign and parity of the exponent count
            exponent = Fraction(2 + exponent % 2) * (1 if exponent > 0 else -1)
        return Fraction(base ** int(exponent))
    if base < 0 and exponent != int(exponent):
        raise CalculationError("a broken power of a negative number is not a real number")
    return float(float(base) ** float(exponent))


def _remainder(left: Value, right: Value) -> Value:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left % right
    return float(left) % float(right)


def _square_root(value: Value) -> Value:
    if isinstance(value, Fraction) and value >= 0:
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return math.sqrt(value)


def _round(value: Value, places: Value = Fraction(0)) -> Value:
    """Halves are rounded away from zero, as on paper. Python's own `round` makes 2.5 a 2."""
    if not float(places).is_integer() or abs(float(places)) > _MAX_ROUND_PLACES:
        raise CalculationError(f"round takes a whole number of places, at most {_MAX_ROUND_PLACES}")
    # repr gives the shortest digits of a float, so 2.675 is rounded as it is written.
    exact = value if isinstance(value, Fraction) else Fraction(repr(value))
    scale = Fraction(10) ** int(places)
    return Fraction(math.floor(abs(exact) * scale + Fraction(1, 2))) / scale * (1 if value >= 0 else -1)


def _factorial(value: Value) -> Value:
    if value != int(value) or not 0 <= value <= _MAX_FACTORIAL:
        raise CalculationError(f"factorial takes whole numbers from 0 to {_MAX_FACTORIAL}")
    return Fraction(math.factorial(int(value)))


def _log(value: Value, base: Value | None = None) -> Value:
    if base is None:
        return math.log(value)
    if base in (2, 10):  # exact where the result is a whole number
        return math.log2(value) if base == 2 else math.log10(value)
    return math.log(value, base)


def _sum(*values: Value) -> Value:
    return sum(values, start=Fraction(0))


_OPERATORS: Final[Mapping[str, Callable[[Value, Value], Value]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: Fraction(left // right),
    "%": _remainder,
    "**": _power,
}


@dataclass(frozen=True, slots=True)
class _Function:
    """`compute` takes from `least` to `most` arguments."""

    compute: Callable[..., Value]
    least: int = 1
    most: int = 1


def _float_function(function: Callable[[float], float]) -> _Function:
    return _Function(lambda value: function(float(value)))


def _circular(function: Callable[[float], float]) -> _Function:
    """Rounded to 15 places, so that sin(pi) is 0 although the float pi is not exactly π."""
    return _Function(lambda value: round(function(float(value)), 15))


_MEAN: Final = _Function(lambda *values: _sum(*values) / len(values), 1, _MAX_ARGUMENTS)
_FUNCTIONS: Final[Mapping[str, _Function]] = {
    "abs": _Function(abs),
    "acos": _float_function(math.acos),
    "asin": _float_function(math.asin),
    "atan": _float_function(math.atan),
    "avg": _MEAN,
    "cbrt": _float_function(math.cbrt),
    "ceil": _Function(lambda value: Fraction(math.ceil(value))),
    "cos": _circular(math.cos),
    "degrees": _float_function(math.degrees),
    "exp": _float_function(math.exp),
    "factorial": _Function(_factorial),
    "floor": _Function(lambda value: Fraction(math.floor(value))),
    "ln": _float_function(math.log),
    "log": _Function(_log, 1, 2),
    "log10": _float_function(math.log10),
    "log2": _float_function(math.log2),
    "max": _Function(lambda *values: max(values), 1, _MAX_ARGUMENTS),
    "mean": _MEAN,
    "min": _Function(lambda *values: min(values), 1, _MAX_ARGUMENTS),
    "mod": _Function(_remainder, 2, 2),
    "pow": _Function(_power, 2, 2),
    "radians": _float_function(math.radians),
    "round": _Function(_round, 1, 2),
    "sin": _circular(math.sin),
    "sqrt": _Function(_square_root),
    "sum": _Function(_sum, 1, _MAX_ARGUMENTS),
    "tan": _circular(math.tan),
}
