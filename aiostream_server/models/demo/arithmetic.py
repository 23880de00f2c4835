"""Arithmetic in plain English: finds a sum in a question and writes it for a calculator.

The calculator is taken to know `+ - * / % ** ()`, `sqrt()`, `min()`, `max()`, `abs()`, `round()` and `15% of 850`.
Nothing here computes, and nothing raises.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.number_words import digits_for_words

_N: Final = r"(-?\d+(?:\.\d+)?)"
_LIST: Final = r"(-?\d+(?:\.\d+)?(?:(?:\s*,\s*and\s+|\s*,\s*|\s+and\s+)-?\d+(?:\.\d+)?)+)"


@dataclass(frozen=True, slots=True)
class Sum:
    """`expression` for the calculator; `spoken` for "{spoken} is 42."."""

    expression: str
    spoken: str


def _joined(operator: str) -> Callable[[str], str]:
    return lambda numbers: f" {operator} ".join(_NUMBER.findall(numbers))


def _average(numbers: str) -> str:
    found = _NUMBER.findall(numbers)
    return f"({' + '.join(found)}) / {len(found)}"


def _called(function: str) -> Callable[[str], str]:
    return lambda numbers: f"{function}({', '.join(_NUMBER.findall(numbers))})"


_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
# A phrase, and its expression: groups in {0}, {1}; a phrase with a list of numbers has a function instead.
_PHRASES: Final[tuple[tuple[str, str | Callable[[str], str]], ...]] = (
    (rf"{_N}\s*(?:%|percent|per cent) (?:off|discount on|less than) {_N}", "{1} * (1 - {0} / 100)"),
    (rf"{_N}\s*(?:%|percent|per cent) more than {_N}", "{1} * (1 + {0} / 100)"),
    (rf"(?:increase|raise) {_N} by {_N}\s*(?:%|percent|per cent)", "{0} * (1 + {1} / 100)"),
    (rf"(?:decrease|reduce|lower) {_N} by {_N}\s*(?:%|percent|per cent)", "{0} * (1 - {1} / 100)"),
    (rf"{_N} (?:plus|\+) {_N}\s*(?:%|percent|per cent)(?! of)", "{0} * (1 + {1} / 100)"),
    (rf"{_N} (?:minus|-) {_N}\s*(?:%|percent|per cent)(?! of)", "{0} * (1 - {1} / 100)"),
    (rf"(?:what|which) (?:percent|percentage) (?:is|of) {_N} (?:of|is) {_N}", "{0} / {1} * 100"),
    (rf"{_N} (?:is|as) (?:what|which|a) (?:percent|percentage) of {_N}", "{0} / {1} * 100"),
    (rf"{_N}\s*(?:%|percent|per cent) of {_N}", "{0}% of {1}"),
    (rf"(?:average|mean|avg)(?: value)? of {_LIST}", _average),
    (rf"(?:sum|total) of {_LIST}", _joined("+")),
    (rf"add(?: up)? {_LIST}", _joined("+")),
    (rf"product of {_LIST}", _joined("*")),
    (rf"multiply {_N} (?:by|with|and) {_N}", "{0} * {1}"),
    (rf"divide {_N} by {_N}", "{0} / {1}"),
    (rf"subtract {_N} from {_N}", "{1} - {0}"),
    (rf"add {_N} to {_N}", "{1} + {0}"),
    (rf"difference (?:between|of) {_N} and {_N}", "abs({0} - {1})"),
    (rf"(?:max|maximum|largest|biggest|highest|greatest) of {_LIST}", _called("max")),
    (rf"(?:min|minimum|smallest|lowest|least) of {_LIST}", _called("min")),
    (rf"(?:square root|sqrt|root) of {_N}", "sqrt({0})"),
    (rf"absolute value of {_N}", "abs({0})"),
    (rf"remainder (?:of|when) {_N} (?:divided by|is divided by|/) {_N}", "{0} % {1}"),
    (rf"{_N} (?:to|raised to) the power (?:of )?{_N}", "{0} ** {1}"),
    (rf"{_N} (?:to|raised to) the {_N}(?:st|nd|rd|th)(?: power)?", "{0} ** {1}"),
    (rf"{_N} squared", "{0} ** 2"),
    (rf"{_N} cubed", "{0} ** 3"),
    (rf"(?:half|1/2) of {_N}", "{0} / 2"),
    (rf"(?:a third|1/3) of {_N}", "{0} / 3"),
    (rf"(?:a quarter|1/4) of {_N}", "{0} / 4"),
    (rf"(?:double|twice) {_N}", "{0} * 2"),
    (rf"triple {_N}", "{0} * 3"),
    (rf"round {_N} to {_N} (?:decimals?|decimal places?|digits?|places?)", "round({0}, {1})"),
    (rf"{_N} (?:[a-z]+ ){{1,3}}(?:at|for|costing|that cost) {_N} (?:each|apiece|per \w+)", "{0} * {1}"),
)
_COMPILED: Final = tuple((re.compile(rf"(?<![\w.]){phrase}(?![\w%]|\.\d)"), made) for phrase, made in _PHRASES)
_OPERATOR_WORDS: Final = (
    (r"\b(?:multiplied by|times)\b|×|·|(?<=[\d)])\s*x\s*(?=[\d(])", " * "),
    (r"\b(?:divided by|over)\b|÷", " / "),
    (r"\bplus\b", " + "),
    (r"\bminus\b|−|–", " - "),
    (r"\b(?:modulo|mod)\b", " % "),
    (r"\^", " ** "),
)
_MOST_CHARS: Final = 1000
_MOST_FORMULA_CHARS: Final = 200
_MOST_PHRASES: Final = 4
_ASKS: Final = re.compile(r"\b(?:what|what's|whats|how much|calculate|compute|evaluate|solve|work out|result)\b|=")
_DATE: Final = re.compile(r"\b\d{4}-\d{1,2}(?:-\d{1,2})?\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\b\d{3}-\d{4}\b")
_PIECE: Final = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|(\*\*|//|[-+*/%])|(sqrt|abs|min|max|round)\s*(?=\()|([(),]))")


def find_sum(question: str) -> Sum | None:
    """The sum that is asked for: a phrase ("average of 3 and 5") or a formula ("12 * (3+4)")."""
    text = _plain(question)
    phrases: list[Sum] = []
    bracketed = ""
    # A phrase can be part of a formula ("5 squared plus 3"): written in brackets, it is read as such.
    while len(phrases) < _MOST_PHRASES and (found := _find_phrase(text)):
        match, phrase = found
        phrases.append(phrase)
        bracketed = f"({phrase.expression.replace('% of ', ' / 100 * ')})"
        text = text[: match.start()] + bracketed + text[match.end() :]
    formula = _longest_formula(text)
    if len(phrases) == 1 and formula in ("", bracketed):
        return phrases[0]
    return Sum(formula, formula) if formula and _is_meant(formula, text) else None


def _find_phrase(text: str) -> tuple[re.Match[str], Sum] | None:
    for pattern, made in _COMPILED:
        if found := pattern.search(text):
            expression = made.format(*found.groups()) if isinstance(made, str) else made(found[1])
            return found, Sum(expression, _spoken(found[0]))
    return None


def _plain(question: str) -> str:
    text = digits_for_words(question[:_MOST_CHARS].casefold().replace("’", "'"))
    text = re.sub(r"[$€£¥]\s*(?=\d)", "", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)  # 1,200 is one number; 1,2 is two
    return re.sub(r"\s+", " ", _DATE.sub(" ", text))


def _spoken(phrase: str) -> str:
    names_itself = re.match(
        r"(?:average|mean|avg|sum|total|product|difference|max|min|larg|bigg|high|great|small|low|least|square|root|sqrt|"
        r"absolute|remainder)",
        phrase,
    )
    return f"the {phrase}" if names_itself else phrase


def _longest_formula(text: str) -> str:
    """The longest well-formed formula with an operator or a function in it; empty where there is none."""
    for words, operator in _OPERATOR_WORDS:
        text = re.sub(words, operator, text)
    best, start = "", 0
    while piece := _next_piece(text, start):
        formula = _formula_at(text, piece.start())
        best = max(best, formula, key=len)
        start = max(piece.end(), piece.start() + len(formula))
    return best


def _next_piece(text: str, start: int) -> re.Match[str] | None:
    found = re.compile(r"(?<![\w.])(?:\d|\.\d|[-(]|sqrt|abs|min|max|round)").search(text, start)
    return found and _PIECE.match(text, found.start())


def _formula_at(text: str, start: int) -> str:
    """Read pieces as long as each may follow the one before; keep what ends with every bracket closed."""
    best, position, depth, wants_operand, is_sum = "", start, 0, True, False
    while position - start < _MOST_FORMULA_CHARS and (piece := _PIECE.match(text, position)):
        number, operator, function, mark = piece.groups()
        if operator and wants_operand and operator != "-":
            break
        if (number or function or mark == "(") and not wants_operand and (position != start):
            break
        if mark in (")", ",") and (wants_operand or depth == 0):
            break
        depth += {"(": 1, ")": -1}.get(mark or "", 0)
        is_sum = is_sum or bool(function) or bool(operator and not wants_operand)
        wants_operand = not (number or mark == ")")
        position = piece.end()
        if not wants_operand and depth == 0 and is_sum and not re.match(r"\w", text[position:]):
            best = text[start:position]
    return _tidy(best)


def _tidy(formula: str) -> str:
    return re.sub(r"\s+", " ", formula).strip()


def _is_meant(formula: str, text: str) -> bool:
    """ "9-5" and "24/7" are sums only where somebody asks for one."""
    bare = re.fullmatch(r"\d+[-/]\d+", formula)
    return not bare or bool(_ASKS.search(text)) or text.strip(" ?!.") == formula
