"""Parses an expression and computes it in one pass: numbers, `+ - * / // % **`, brackets, functions, percentages.

`^` is a power, `×` and `÷` are multiplication and division. `%` between two values is the remainder, elsewhere it
means hundredths: `15%` is 0.15, `15% of 850` is 127.5, and, as on a pocket calculator, `200 + 10%` is 220. Commas group
thousands (`1,234,567.5`); between a function's brackets they separate its arguments.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from aiostream_server.tools.calculator.arithmetic import CalculationError, Value, call, constant, operate

MAX_CHARS: Final = 500
MAX_DEPTH: Final = 40
_MAX_EXPONENT: Final = 400

_SPELLINGS: Final = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_EXPONENT: Final = r"(?:[eE][+-]?\d+)?(?![\d.])"
_GROUPED: Final = rf"(?P<grouped>\d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d*)?{_EXPONENT})"
_NUMBER: Final = rf"(?P<number>(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+){_EXPONENT})"
_PATTERN: Final = rf"{_NUMBER}|(?P<name>[A-Za-z_π]\w*)|(?P<sign>\*\*|//|[-+*/%^(),])"
_TOKEN: Final = re.compile(rf"\s*(?:{_PATTERN})", re.ASCII)
_TOKEN_OR_GROUPED: Final = re.compile(rf"\s*(?:{_GROUPED}|{_PATTERN})", re.ASCII)

_LOOSE: Final = ("+", "-")
_TIGHT: Final = ("*", "/", "//", "%", "of")


@dataclass(frozen=True, slots=True)
class _Token:
    """`position` counts characters from 1."""

    kind: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _Operand:
    """`is_percentage`: a plain `15%`, which `+` and `-` take of the value on their left."""

    value: Value
    is_percentage: bool = False


def evaluate(text: str) -> Value:
    """The value of the expression. Raises `CalculationError` with the position of the mistake."""
    if len(text) > MAX_CHARS:
        raise CalculationError(f"the expression is longer than {MAX_CHARS} characters")
    return _Parser(_tokenise(text)).evaluate()


def _tokenise(text: str) -> Sequence[_Token]:
    # Each replacement is one character long, so that positions stay right.
    source = text.translate(_SPELLINGS).rstrip().rstrip("=?").rstrip()
    tokens: list[_Token] = []
    position, brackets = 0, list[bool]()
    while position < len(source):
        pattern = _TOKEN if any(brackets) else _TOKEN_OR_GROUPED
        match = pattern.match(source, position)
        if match is None or match.lastgroup is None:
            raise CalculationError(_not_understood(source, position))
        kind, word = match.lastgroup, match[match.lastgroup]
        if word == "(":
            brackets.append(bool(tokens) and tokens[-1].kind == "name" and tokens[-1].text != "of")
        elif word == ")" and brackets:
            brackets.pop()
        tokens.append(_Token("number" if kind == "grouped" else kind, word.lower(), match.start(kind) + 1))
        position = match.end()
    return [*tokens, _Token("end", "the end", len(source) + 1)]


def _not_understood(source: str, position: int) -> str:
    while source[position].isspace():
        position += 1
    return f"{source[position]!r} at character {position + 1} is not understood"


class _Parser:
    """Recursive descent; each method reads one level of precedence and returns its value."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._depth = 0

    def evaluate(self) -> Value:
        operand = self._sum()
        if self._next.kind != "end":
            raise self._unexpected("an operator or the end")
        return operand.value

    @property
    def _next(self) -> _Token:
        return self._tokens[self._index]

    def _take(self) -> _Token:
        self._index += 1
        return self._tokens[self._index - 1]

    def _unexpected(self, wanted: str) -> CalculationError:
        found = self._next
        what = found.text if found.kind == "end" else repr(found.text)
        return CalculationError(f"{wanted} was expected at character {found.position}, not {what}")

    def _sum(self) -> _Operand:
        left = self._product()
        while self._next.text in _LOOSE:
            sign, right = self._take(), self._product()
            amount = right.value
            if right.is_percentage:  # 200 + 10%
                amount = operate("*", left.value, amount, sign.position)
            left = _Operand(operate(sign.text, left.value, amount, sign.position))
        return left

    def _product(self) -> _Operand:
        left = self._signed()
        while self._next.text in _TIGHT:
            sign, right = self._take(), self._signed()
            operator = "*" if sign.text == "of" else sign.text
            left = _Operand(operate(operator, left.value, right.value, sign.position))
        return left

    def _signed(self) -> _Operand:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CalculationError(f"the expression is nested more than {MAX_DEPTH} deep")
        if self._next.text in _LOOSE:
            sign, operand = self._take(), self._signed()
            operand = _Operand(-operand.value) if sign.text == "-" else operand
        else:
            operand = self._power()
        self._depth -= 1
        return operand

    def _power(self) -> _Operand:
        base = self._percentage()
        if self._next.text not in ("**", "^"):
            return base
        sign, exponent = self._take(), self._signed()  # right-associative: 2**3**2 is 2**9
        return _Operand(operate("**", base.value, exponent.value, sign.position))

    def _percentage(self) -> _Operand:
        operand = self._atom()
        while self._next.text == "%" and not _starts_value(self._tokens[self._index + 1]):
            self._take()
            operand = _Operand(operand.value / 100, is_percentage=True)
        return operand

    def _atom(self) -> _Operand:
        if self._next.kind == "number":
            return _Operand(_to_fraction(self._take()))
        if self._next.kind == "name" and self._next.text != "of":
            return _Operand(self._named())
        if self._next.text != "(":
            raise self._unexpected("a number")
        self._take()
        operand = self._sum()
        self._close()
        return operand

    def _named(self) -> Value:
        name = self._take()
        if self._next.text != "(":
            return constant(name.text, name.position)
        self._take()
        arguments: list[Value] = []
        while self._next.text != ")":
            arguments.append(self._sum().value)
            if self._next.text != ",":
                break
            self._take()
        self._close()
        return call(name.text, arguments, name.position)

    def _close(self) -> None:
        if self._next.text != ")":
            raise self._unexpected("a closing bracket")
        self._take()


def _starts_value(token: _Token) -> bool:
    return token.kind == "number" or token.text == "(" or (token.kind == "name" and token.text != "of")


def _to_fraction(token: _Token) -> Fraction:
    mantissa, _, exponent = token.text.replace(",", "").replace("_", "").partition("e")
    if abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise CalculationError(f"the number at character {token.position} is too large or too small")
    return Fraction(Decimal(mantissa)) * Fraction(10) ** int(exponent or 0)
