"""Text to tree: numbers, `+ - * / // % **`, brackets, functions, percentages.

`^` is a power, `×` and `÷` are what they look like. `%` between two values is the remainder, else it means hundredths:
`15%` is 0.15, `15% of 850` is 127.5, and, as on a pocket calculator, `200 + 10%` is 220. Commas group thousands
(`1,234,567.5`) except between a function's brackets, where they separate its arguments.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from aiostream_server.tools.calculator.errors import CalculationError

MAX_CHARS: Final = 500
MAX_DEPTH: Final = 40
_MAX_EXPONENT: Final = 400


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction


@dataclass(frozen=True, slots=True)
class Constant:
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """Minus, or the hundredth part."""

    operator: Literal["-", "%"]
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: "Node"
    right: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple["Node", ...]
    position: int


Node: TypeAlias = Number | Constant | Unary | Binary | Call


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


_SPELLINGS: Final = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_EXPONENT: Final = r"(?:[eE][+-]?\d+)?(?![\d.])"
_GROUPED: Final = rf"(?P<grouped>\d{{1,3}}(?:,\d{{3}})+(?![\d,])(?:\.\d*)?{_EXPONENT})"
_NUMBER: Final = rf"(?P<number>(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+){_EXPONENT})"
_PATTERN: Final = rf"{_NUMBER}|(?P<name>[A-Za-z_π]\w*)|(?P<sign>\*\*|//|[-+*/%^(),])"
_TOKEN: Final = re.compile(rf"\s*(?:{_PATTERN})", re.ASCII)
_TOKEN_OR_GROUPED: Final = re.compile(rf"\s*(?:{_GROUPED}|{_PATTERN})", re.ASCII)

_LOOSE: Final = ("+", "-")
_TIGHT: Final = ("*", "/", "//", "%", "of")


def parse(text: str) -> Node:
    """Raise `CalculationError` with the position, counted from 1, of what was not understood."""
    if len(text) > MAX_CHARS:
        raise CalculationError(f"the expression is longer than {MAX_CHARS} characters")
    return _Parser(_tokenise(text)).parse()


def _tokenise(text: str) -> Sequence[_Token]:
    # One character for one, so that positions stay true.
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
    """Recursive descent; a method reads one level of precedence."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._index = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._sum()
        if self._next.kind != "end":
            raise self._unexpected("an operator or the end")
        return node

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

    def _sum(self) -> Node:
        node = self._product()
        while self._next.text in _LOOSE:
            sign = self._take()
            node = Binary(sign.text, node, _share(self._product(), node), sign.position)
        return node

    def _product(self) -> Node:
        node = self._signed()
        while self._next.text in _TIGHT:
            sign = self._take()
            node = Binary("*" if sign.text == "of" else sign.text, node, self._signed(), sign.position)
        return node

    def _signed(self) -> Node:
        self._enter()
        if self._next.text in _LOOSE:
            sign = self._take()
            operand = self._signed()
            node: Node = Unary("-", operand) if sign.text == "-" else operand
        else:
            node = self._power()
        self._depth -= 1
        return node

    def _power(self) -> Node:
        node = self._percent()
        if self._next.text in ("**", "^"):
            sign = self._take()
            node = Binary("**", node, self._signed(), sign.position)  # from the right: 2**3**2 is 2**9
        return node

    def _percent(self) -> Node:
        node = self._atom()
        while self._next.text == "%" and not self._starts_value(self._tokens[self._index + 1]):
            self._take()
            node = Unary("%", node)
        return node

    def _starts_value(self, token: _Token) -> bool:
        return token.kind == "number" or token.text == "(" or (token.kind == "name" and token.text != "of")

    def _atom(self) -> Node:
        if self._next.kind == "number":
            return Number(_to_fraction(self._take()))
        if self._next.kind == "name" and self._next.text != "of":
            return self._named()
        if self._next.text == "(":
            return self._bracketed()
        raise self._unexpected("a number")

    def _named(self) -> Node:
        name = self._take()
        if self._next.text != "(":
            return Constant(name.text, name.position)
        self._take()
        arguments: list[Node] = []
        while self._next.text != ")":
            arguments.append(self._sum())
            if self._next.text != ",":
                break
            self._take()
        self._close()
        return Call(name.text, tuple(arguments), name.position)

    def _bracketed(self) -> Node:
        self._take()
        node = self._sum()
        self._close()
        return node

    def _close(self) -> None:
        if self._next.text != ")":
            raise self._unexpected("a closing bracket")
        self._take()

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CalculationError(f"the expression is nested more than {MAX_DEPTH} deep")


def _share(addend: Node, base: Node) -> Node:
    """`+ 10%` after a value means 10 % of that value."""
    if isinstance(addend, Unary) and addend.operator == "%":
        return Binary("*", base, addend, 0)
    return addend


def _to_fraction(token: _Token) -> Fraction:
    mantissa, _, exponent = token.text.replace(",", "").replace("_", "").partition("e")
    if abs(int(exponent or 0)) > _MAX_EXPONENT:
        raise CalculationError(f"the number at character {token.position} is too large or too small")
    return Fraction(Decimal(mantissa)) * Fraction(10) ** int(exponent or 0)
