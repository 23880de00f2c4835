"""Arithmetic in English: reads a whole question as one calculation and writes it for the calculator tool.

The calculator knows `+ - * / % ** ()`, `sqrt()`, `min()`, `max()`, `abs()`, `round()` and `15% of 850`. A question with
any other word is not a calculation.
"""

import re
from dataclasses import dataclass
from typing import Final

_N: Final = r"(-?\d+(?:\.\d+)?)"
_LIST: Final = r"(-?\d+(?:\.\d+)?(?:(?:, and |, ?| and )-?\d+(?:\.\d+)?)+)"
_PHRASES: Final = (
    (rf"{_N} ?(?:%|percent) of {_N}", "{0}% of {1}"),
    (rf"{_N} ?(?:%|percent) off {_N}", "{1} * (1 - {0} / 100)"),
    (rf"half of {_N}", "{0} / 2"),
    (rf"(?:double|twice) {_N}", "{0} * 2"),
    (rf"(?:the )?square root of {_N}", "sqrt({0})"),
    (rf"{_N} squared", "{0} ** 2"),
    (rf"{_N} to the power of {_N}", "{0} ** {1}"),
    (rf"add {_N} (?:to|and) {_N}", "{1} + {0}"),
    (rf"subtract {_N} from {_N}", "{1} - {0}"),
    (rf"multiply {_N} (?:by|with) {_N}", "{0} * {1}"),
    (rf"divide {_N} by {_N}", "{0} / {1}"),
)
_LIST_PHRASES: Final = (
    (rf"(?:the )?(?:sum|total) of {_LIST}", "{sum}"),
    (rf"(?:the )?(?:average|mean) of {_LIST}", "({sum}) / {count}"),
)
_OPERATORS: Final = (
    (r"\b(?:multiplied by|times)\b|×|(?<=\d) x (?=\d)", " * "),
    (r"\bdivided by\b|÷", " / "),
    (r"\bplus\b", " + "),
    (r"\bminus\b|−", " - "),
    (r"\^", " ** "),
)
_FORMULA: Final = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+|[-+*/%(), ]|(?:sqrt|abs|min|max|round)(?=\())+")
_IS_SUM: Final = re.compile(r"(?![+*/%),]).*[-+*/%(] *\(*[\d.]")
_LEAD: Final = re.compile(r"^(?:(?:please|and|then|now|ok|so|what's|what|how much|is|are|calculate|compute)\b|[\s,:])+")
_TAIL: Final = re.compile(r"(?:\bplease\b|[\s?!.=,])+$")
_MAX_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Calculation:
    """`expression` is for the calculator; `spoken` is for "{spoken} is 42."."""

    expression: str
    spoken: str


def read_calculation(question: str) -> Calculation | None:
    """None unless the whole question is one phrase ("average of 3 and 5") or one formula ("12 * (3 + 4)")."""
    if len(question) > _MAX_CHARACTERS:
        return None
    text = _plain(question)
    for pattern, template in _PHRASES:
        if found := re.fullmatch(pattern, text):
            return Calculation(template.format(*found.groups()), text)
    for pattern, template in _LIST_PHRASES:
        if found := re.fullmatch(pattern, text):
            numbers = re.findall(_N, found[1])
            return Calculation(template.format(sum=" + ".join(numbers), count=len(numbers)), text)
    for words, operator in _OPERATORS:
        text = re.sub(words, operator, text)
    formula = " ".join(text.split())
    if _FORMULA.fullmatch(formula) and _IS_SUM.match(formula):
        return Calculation(formula, formula)
    return None


def _plain(question: str) -> str:
    text = " ".join(question.casefold().replace("’", "'").split())
    text = re.sub(r"[$€£¥](?=\d)", "", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)  # 1,200 is one number; 1,2 is two
    return _TAIL.sub("", _LEAD.sub("", text))
