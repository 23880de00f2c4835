"""Tree to number: exact fractions as long as nothing irrational is met, floats from there on.

Every step is bounded before it is taken: a power by the size that its result would have, all values by `MAX_BITS`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias, assert_never

from aiostream_server.tools.calculator.errors import CalculationError
from aiostream_server.tools.calculator.parsing import Binary, Call, Constant, Node, Number, Unary

Value: TypeAlias = Fraction | float

MAX_BITS: Final = 4_096  # about 1,200 digits
_MAX_PLACES: Final = 100
_MAX_FACTORIAL: Final = 400
_HALF: Final = Fraction(1, 2)
_CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi, "e": math.e, "tau": math.tau, "π": math.pi}


def evaluate(node: Node) -> Value:
    """Raise `CalculationError` where there is no such number, or it is too large."""
    match node:
        case Number(value):
            return value
        case Constant():
            return _constant(node)
        case Unary("-", operand):
            return -evaluate(operand)
        case Unary(_, operand):
            return evaluate(operand) / 100
        case Binary():
            return _bounded(_operate(node.operator, evaluate(node.left), evaluate(node.right), node.position))
        case Call():
            return _bounded(_call(node))
        case _:
            assert_never(node)


def _constant(node: Constant) -> float:
    if node.name in _CONSTANTS:
        return _CONSTANTS[node.name]
    if node.name in _FUNCTIONS:
        raise CalculationError(f"{node.name} at character {node.position} needs brackets: {node.name}(...)")
    raise CalculationError(f"{node.name} at character {node.position} is not known; {_known()}")


def _known() -> str:
    return f"there are: {', '.join(sorted([*_CONSTANTS, *_FUNCTIONS]))}"


def _bounded(value: Value) -> Value:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CalculationError("the result is too large")
        return value
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise CalculationError("the result has too many digits")
    return value


def _operate(operator: str, left: Value, right: Value, position: int) -> Value:
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "//":
                return Fraction(left // right)
            case "%":
                return _remainder(left, right)
            case _:
                return _power(left, right)
    except ZeroDivisionError as exc:
        raise CalculationError(f"division by zero at character {position}") from exc
    except OverflowError as exc:
        raise CalculationError(f"the result at character {position} is too large") from exc


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if size > 1 and abs(exponent) * (size - 1) > MAX_BITS:
            raise CalculationError("the result of the power has too many digits")
        if abs(exponent) > MAX_BITS:  # of 0, 1 or -1
            exponent = Fraction(2 + exponent % 2) * (1 if exponent > 0 else -1)
        return Fraction(base ** int(exponent))
    if base < 0 and exponent != int(exponent):
        raise CalculationError("a broken power of a negative number is not a real number")
    return float(float(base) ** float(exponent))


def _remainder(left: Value, right: Value) -> Value:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left % right
    return float(left) % float(right)


@dataclass(frozen=True, slots=True)
class _Function:
    """What computes, and between how many arguments it takes and at most takes."""

    compute: Callable[..., Value]
    least: int = 1
    most: int = 1


def _call(node: Call) -> Value:
    function = _FUNCTIONS.get(node.name)
    if function is None:
        raise CalculationError(f"the function {node.name} at character {node.position} is not known; {_known()}")
    if not function.least <= len(node.arguments) <= function.most:
        raise CalculationError(_wrong_count(node, function))
    arguments = [evaluate(argument) for argument in node.arguments]
    try:
        return function.compute(*arguments)
    except (ValueError, ZeroDivisionError) as exc:
        if isinstance(exc, CalculationError):
            raise
        raise CalculationError(f"{node.name} at character {node.position} has no value there") from exc
    except OverflowError as exc:
        raise CalculationError(f"the result of {node.name} at character {node.position} is too large") from exc


def _wrong_count(node: Call, function: _Function) -> str:
    least, most = function.least, function.most
    wanted = str(least) if least == most else f"{least} to {most}"
    return f"{node.name} at character {node.position} takes {wanted} values, not {len(node.arguments)}"


def _square_root(value: Value) -> Value:
    if isinstance(value, Fraction) and value >= 0:
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return math.sqrt(value)


def _round(value: Value, places: Value = Fraction(0)) -> Value:
    """Halves go away from zero, as on paper; Python's own `round` would make 2.5 a 2."""
    if not float(places).is_integer() or abs(float(places)) > _MAX_PLACES:
        raise CalculationError(f"round takes a whole number of places, at most {_MAX_PLACES}")
    scale = Fraction(10 ** abs(int(places)))
    scale = scale if places >= 0 else 1 / scale
    scaled = abs(_as_fraction(value)) * scale
    return Fraction(math.floor(scaled + _HALF)) / scale * (1 if value >= 0 else -1)


def _as_fraction(value: Value) -> Fraction:
    # repr gives the shortest digits that mean this float: 2.675 is rounded as it reads.
    return value if isinstance(value, Fraction) else Fraction(repr(value))


def _factorial(value: Value) -> Value:
    if value != int(value) or not 0 <= value <= _MAX_FACTORIAL:
        raise CalculationError(f"factorial takes whole numbers from 0 to {_MAX_FACTORIAL}")
    return Fraction(math.factorial(int(value)))


def _log(value: Value, base: Value | None = None) -> Value:
    if base is None:
        return math.log(value)
    if base in (2, 10):  # exact where the answer is whole
        return math.log2(value) if base == 2 else math.log10(value)
    return math.log(value, base)


def _largest(*values: Value) -> Value:
    return max(values)


def _smallest(*values: Value) -> Value:
    return min(values)


def _sum(*values: Value) -> Value:
    return sum(values, start=Fraction(0))


def _mean(*values: Value) -> Value:
    return _sum(*values) / len(values)


def _real(function: Callable[[float], float]) -> _Function:
    return _Function(lambda value: function(float(value)))


def _turn(function: Callable[[float], float]) -> _Function:
    """sin(pi) is 0, although pi as a float is not quite pi."""
    return _Function(lambda value: round(function(float(value)), 15))


_MANY: Final = 50
_FUNCTIONS: Final[Mapping[str, _Function]] = {
    "abs": _Function(abs),
    "acos": _real(math.acos),
    "asin": _real(math.asin),
    "atan": _real(math.atan),
    "avg": _Function(_mean, 1, _MANY),
    "cbrt": _real(math.cbrt),
    "ceil": _Function(lambda value: Fraction(math.ceil(value))),
    "cos": _turn(math.cos),
    "degrees": _real(math.degrees),
    "exp": _real(math.exp),
    "factorial": _Function(_factorial),
    "floor": _Function(lambda value: Fraction(math.floor(value))),
    "ln": _real(math.log),
    "log": _Function(_log, 1, 2),
    "log10": _real(math.log10),
    "log2": _real(math.log2),
    "max": _Function(_largest, 1, _MANY),
    "mean": _Function(_mean, 1, _MANY),
    "min": _Function(_smallest, 1, _MANY),
    "mod": _Function(_remainder, 2, 2),
    "pow": _Function(_power, 2, 2),
    "radians": _real(math.radians),
    "round": _Function(_round, 1, 2),
    "sin": _turn(math.sin),
    "sqrt": _Function(_square_root),
    "sum": _Function(_sum, 1, _MANY),
    "tan": _turn(math.tan),
}
