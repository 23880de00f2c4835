"""Bounded arithmetic: fractions while all operands are rational, floats after the first irrational one.

The size of a power is checked before it is computed, and every result against `MAX_BITS`, so no step is expensive.
"""

import math
import operator
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final, TypeAlias

Value: TypeAlias = Fraction | float

MAX_BITS: Final = 4_096  # about 1,200 digits
_MAX_ROUND_PLACES: Final = 100
_MAX_FACTORIAL: Final = 400
_MAX_SHOWN_PLACES: Final = 30
_FIFTEEN_DIGITS: Final = Context(prec=15)
_ALL_DIGITS: Final = Context(prec=MAX_BITS)
_CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi, "e": math.e, "tau": math.tau, "π": math.pi}


class CalculationError(ValueError):
    """The expression has no value here. The message says what is wrong, and at which character."""


def constant(name: str, position: int) -> float:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    if name in _FUNCTIONS:
        raise CalculationError(f"{name} at character {position} needs brackets: {name}(...)")
    raise CalculationError(f"{name} at character {position} is not known; {_known_names()}")


def call(name: str, arguments: list[Value], position: int) -> Value:
    """The result of a function. Raises `CalculationError` where there is none or it is too large."""
    if name not in _FUNCTIONS:
        raise CalculationError(f"the function {name} at character {position} is not known; {_known_names()}")
    return _compute(name, _FUNCTIONS[name], arguments, position)


def operate(sign: str, left: Value, right: Value, position: int) -> Value:
    """The result of an operator. Raises `CalculationError` where there is none or it is too large."""
    return _compute(sign, _OPERATORS[sign], [left, right], position)


def _compute(name: str, function: Callable[..., Value], values: list[Value], position: int) -> Value:
    try:
        value = function(*values)
    except CalculationError:
        raise
    except ZeroDivisionError as exc:
        raise CalculationError(f"division by zero at character {position}") from exc
    except OverflowError as exc:
        raise CalculationError(f"the result of {name} at character {position} is too large") from exc
    except TypeError as exc:
        raise CalculationError(f"{name} at character {position} does not take {len(values)} values") from exc
    except ValueError as exc:
        raise CalculationError(f"{name} at character {position} has no value there") from exc
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CalculationError("the result is too large")
    elif max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise CalculationError("the result has too many digits")
    return value


def show_number(value: Value) -> str:
    """All digits where they end, else fifteen: `127.5`, `0.3`, `0.333333333333333`, `1.5e+30`."""
    if isinstance(value, float):
        number = _FIFTEEN_DIGITS.create_decimal(value)
    else:
        ends = 10**_MAX_SHOWN_PLACES % value.denominator == 0
        context = _ALL_DIGITS if ends else _FIFTEEN_DIGITS
        number = context.divide(Decimal(value.numerator), Decimal(value.denominator))
        if ends:
            return f"{number:f}"
    number = number.normalize(_FIFTEEN_DIGITS)
    if number == 0:
        return "0"
    return f"{number:f}" if -7 <= number.adjusted() < 21 else f"{number:e}"


def _known_names() -> str:
    return f"there are: {', '.join(sorted([*_CONSTANTS, *_FUNCTIONS]))}"


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if size > 1 and abs(exponent) * (size - 1) > MAX_BITS:
            raise CalculationError("the result of the power has too many digits")
        return Fraction(base ** int(exponent))
    if base < 0 and exponent != int(exponent):
        raise CalculationError("a broken power of a negative number is not a real number")
    return float(float(base) ** float(exponent))


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


def _log(value: Value, base: Value = math.e) -> Value:
    exact: Mapping[Value, Callable[[float], float]] = {math.e: math.log, 2: math.log2, 10: math.log10}
    return exact[base](float(value)) if base in exact else math.log(value, base)


def _sum(first: Value, *more: Value) -> Value:
    return sum(more, start=first)


def _mean(first: Value, *more: Value) -> Value:
    return _sum(first, *more) / (1 + len(more))


def _of_float(function: Callable[[float], float]) -> Callable[[Value], float]:
    return lambda value: function(float(value))


def _of_angle(function: Callable[[float], float]) -> Callable[[Value], float]:
    """Rounded to 15 places, so that sin(pi) is 0 although the float pi is not exactly π."""
    return lambda value: round(function(float(value)), 15)


_OPERATORS: Final[Mapping[str, Callable[[Value, Value], Value]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "of": operator.mul,
    "/": operator.truediv,
    "//": lambda left, right: Fraction(left // right),
    "%": operator.mod,
    "**": _power,
    "^": _power,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    **{function.__name__: _of_angle(function) for function in (math.cos, math.sin, math.tan)},
    **{function.__name__: _of_float(function) for function in (math.acos, math.asin, math.atan, math.cbrt, math.exp)},
    **{function.__name__: _of_float(function) for function in (math.degrees, math.radians, math.log2, math.log10)},
    "abs": abs,
    "avg": _mean,
    "ceil": lambda value: Fraction(math.ceil(value)),
    "factorial": _factorial,
    "floor": lambda value: Fraction(math.floor(value)),
    "ln": _of_float(math.log),
    "log": _log,
    "max": lambda first, *more: max([first, *more]),
    "mean": _mean,
    "min": lambda first, *more: min([first, *more]),
    "mod": operator.mod,
    "pow": _power,
    "round": _round,
    "sqrt": _square_root,
    "sum": _sum,
}
