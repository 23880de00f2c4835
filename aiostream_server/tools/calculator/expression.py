"""Parses an expression and computes it in one pass: numbers, `+ - * / // % **`, brackets, functions, percentages.

`^` is a power, `×` and `÷` are multiplication and division. `%` between two values is the remainder, elsewhere it
means hundredths: `15%` is 0.15, `15% of 850` is 127.5, and, as on a pocket calculator, `200 + 10%` is 220. Commas group
thousands (`1,234,567.5`); between a function's brackets they separate its arguments.
"""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from aiostream_server.tools.calculator.arithmetic import CalculationError, Value, call, constant, operate

MAX_CHARS: Final = 500
MAX_DEPTH: Final = 40
_MAX_EXPONENT: Final = 400

_SPELLINGS: Final = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_EXPONENT: Final = r"(?:e[+-]?\d+)?(?![\d.])"
_TOKEN: Final = rf"""
    (?P<number> (?: \d+(?:_\d+)*(?:\.\d*)? | \.\d+ ) {_EXPONENT} )
    | (?P<percent> % (?! \s* (?: [\d.(] | (?!of\b)[a-z_π] ) ) )  # no value follows: not the remainder
    | (?P<sign> \*\* | // | [-+*/%^(),] | of\b )
    | (?P<name> [a-z_π]\w* )
"""
_FLAGS: Final = re.ASCII | re.IGNORECASE | re.VERBOSE
_IN_CALL: Final = re.compile(rf"\s*(?:{_TOKEN})", _FLAGS)
_OUTSIDE: Final = re.compile(
    rf"\s*(?:(?P<grouped> \d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d*)? {_EXPONENT} ) | {_TOKEN})", _FLAGS
)

_SIGNED: Final = 3
_POWER: Final = 4
_BINDING: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "of": 2, "**": _POWER, "^": _POWER}
"""How tightly an operator binds; a sign before a value binds by `_SIGNED`."""


class _Token(NamedTuple):
    """`position` counts characters from 1."""

    kind: str
    text: str
    position: int


class _Operand(NamedTuple):
    """`is_percentage`: a plain `15%`, which `+` and `-` take of the value on their left."""

    value: Value
    is_percentage: bool = False


def evaluate(text: str) -> Value:
    """The value of the expression. Raises `CalculationError` with the position of the mistake."""
    if len(text) > MAX_CHARS:
        raise CalculationError(f"the expression is longer than {MAX_CHARS} characters")
    # Each replacement is one character long, so that positions stay right.
    parser = _Parser(text.translate(_SPELLINGS).rstrip().rstrip("=?").rstrip())
    value = parser.operand().value
    parser.expect("end", "an operator or the end")
    return value


class _Parser:
    """Precedence climbing, with one token of lookahead."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._index = 0
        self._depth = 0
        self._in_call = False
        self._next = self._read()

    def operand(self, binding: int = 0) -> _Operand:
        """One value, with all operators behind it that bind more tightly than `binding`."""
        left = self._value()
        while (tighter := _BINDING.get(self._next.text, 0)) > binding:
            sign = self._take()
            right = self.operand(_SIGNED if tighter == _POWER else tighter)  # 2**3**2 is 2**9, 2**-1 is 0.5
            amount = right.value
            if right.is_percentage and sign.text in ("+", "-"):  # 200 + 10%
                amount = operate("*", left.value, amount, sign.position)
            left = _Operand(operate(sign.text, left.value, amount, sign.position))
        return left

    def expect(self, text_or_kind: str, wanted: str) -> None:
        if text_or_kind not in (self._next.text, self._next.kind):
            raise _unexpected(self._next, wanted)
        self._take()

    def _value(self) -> _Operand:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CalculationError(f"the expression is nested more than {MAX_DEPTH} deep")
        token = self._take()
        match token:
            case _Token("number" | "grouped"):
                operand = _Operand(_to_fraction(token))
            case _Token("name") if self._next.text == "(":
                operand = _Operand(call(token.text, self._arguments(), token.position))
            case _Token("name"):
                operand = _Operand(constant(token.text, token.position))
            case _Token(text="+"):
                operand = self.operand(_SIGNED)
            case _Token(text="-"):
                operand = _Operand(-self.operand(_SIGNED).value)
            case _Token(text="("):
                operand = self.operand()
                self.expect(")", "a closing bracket")
            case _:
                raise _unexpected(token, "a number")
        while self._next.kind == "percent":
            self._take()
            operand = _Operand(operand.value / 100, is_percentage=True)
        self._depth -= 1
        return operand

    def _arguments(self) -> list[Value]:
        was_in_call, self._in_call = self._in_call, True
        self._take()
        arguments: list[Value] = []
        while self._next.text != ")":
            arguments.append(self.operand().value)
            if self._next.text != ",":
                break
            self._take()
        self._in_call = was_in_call
        self.expect(")", "a closing bracket")
        return arguments

    def _take(self) -> _Token:
        token, self._next = self._next, self._read()
        return token

    def _read(self) -> _Token:
        if self._index >= len(self._source):
            return _Token("end", "the end", len(self._source) + 1)
        found = (_IN_CALL if self._in_call else _OUTSIDE).match(self._source, self._index)
        if found is None or found.lastgroup is None:
            rest = self._source[self._index :].lstrip()
            position = len(self._source) - len(rest) + 1
            raise CalculationError(f"{rest[0]!r} at character {position} is not understood")
        self._index = found.end()
        return _Token(found.lastgroup, found[found.lastgroup].lower(), found.start(found.lastgroup) + 1)


def _unexpected(found: _Token, wanted: str) -> CalculationError:
    what = found.text if found.kind == "end" else repr(found.text)
    return CalculationError(f"{wanted} was expected at character {found.position}, not {what}")


def _to_fraction(token: _Token) -> Fraction:
    mantissa, _, exponent = token.text.replace(",", "").replace("_", "").partition("e")
    if abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise CalculationError(f"the number at character {token.position} is too large or too small")
    return Fraction(Decimal(mantissa)) * Fraction(10) ** int(exponent or 0)
