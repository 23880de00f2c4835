"""The demo model as the general assistant: calculates, recalls names and numbers, small talk.

A calculation is a whole question in English, written for the calculator tool, which knows `+ - * / % ** ()`, `sqrt()`,
`min()`, `max()`, `abs()`, `round()` and `15% of 850`. A question with any other word is not a calculation.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from autogen_core.models import AssistantMessage, FunctionExecutionResult, FunctionExecutionResultMessage

from aiostream_server.models.demo.conversation import CONFIGURE, DemoReply, DemoRequest, call, say, shorten, text_of

CALCULATE: Final = "calculate"
_NUMBER: Final = re.compile(r"[-+\d.,eE ]*\d[-+\d.,eE ]*")
_CAN: Final = "I can calculate (“What is 15% of 850?”) and look up the demo database (“Total sales by region”)."
_SMALL_TALK: Final = (
    (r"(?:hi|hello|hey|good (?:morning|afternoon|evening))(?: there)?", f"Hello! {_CAN}"),
    (r"(?:many )?(?:thanks|thank you|cheers)(?: a lot| very much)?", "You are welcome."),
    (
        r"(?:who|what) are you|what is your name|what's your name|are you (?:a|an) .{1,40}|which model are you",
        f"I am the demo model of this server, a set of rules. {_CAN}",
    ),
    (r"help|what can you do|how can you help(?: me)?|can you help(?: me)?", _CAN),
    (r"(?:bye|goodbye|see you)", "Goodbye!"),
)
_NAME: Final = r"([^\W\d][\w'’-]{0,40}(?: [^\W\da-z][\w'’-]{0,40})?)"
_TELLS_NAME: Final = re.compile(rf"\b(?i:my name is|i am called|call me) {_NAME}")
_ASKS_NAME: Final = re.compile(r"\b(?:what(?:'s|’s| is)|you (?:know|remember)) my name\b|\bwho am i\b", re.IGNORECASE)
_THAT: Final = re.compile(r"\b(?:that|it|the (?:result|answer))\b", re.IGNORECASE)
_CONTINUES: Final = re.compile(r"^\W*(?:(?:and|now|then)\b\s*)*(?=(?:plus|minus|times|divided by)\s*\d)", re.IGNORECASE)
_SAID_VALUE: Final = re.compile(r"\bis \**(-?\d[\d,]*(?:\.\d+)?)\**(?=\.(?:\s|$))")


_N: Final = r"-?\d+(?:\.\d+)?"
_LIST: Final = rf"{_N}(?:(?:, and |, ?| and ){_N})+"
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


class Calculation(NamedTuple):
    """`expression` is for the calculator; `spoken` is for "{spoken} is 42."."""

    expression: str
    spoken: str


def answer(request: DemoRequest) -> DemoReply:
    """The calculator's call first; its result in words when it is there."""
    calculation = read_calculation(request.question) or read_calculation(_with_last_number(request))
    if result := request.result(CALCULATE):
        return _say_result(calculation, result)
    if calculation and CALCULATE in request.tools:
        return call(CALCULATE, expression=calculation.expression)
    return say(_recall(request) or _small_talk(request.question))


def _say_result(calculation: Calculation | None, result: FunctionExecutionResult) -> DemoReply:
    value = result.content.rpartition("=")[2].strip()
    if result.is_error or not _NUMBER.fullmatch(value):
        return say(f"The calculator could not work that out: {shorten(result.content)}")
    spoken = calculation.spoken if calculation else "the result"
    return say(f"{spoken[0].upper()}{spoken[1:]} is {value}.")


def _small_talk(question: str) -> str:
    text = question.strip(" .!?").casefold()
    for pattern, reply in _SMALL_TALK:
        if re.fullmatch(pattern, text):
            return reply
    asked = f"You asked “{shorten(question)}”, and none of my rules understands that. " if text else ""
    return f"{asked}{_CAN} {CONFIGURE}"


def _recall(request: DemoRequest) -> str | None:
    """The answer to a question about the conversation itself; None for any other question."""
    if _ASKS_NAME.search(request.question):
        told = (_TELLS_NAME.search(text) for text in reversed(request.earlier_questions()))
        name = next((found[1] for found in told if found), None)
        return f"Your name is {name}." if name else "You have not told me your name."
    told_now = _TELLS_NAME.search(request.question)
    return f"Nice to meet you, {told_now[1]}." if told_now else None


def _with_last_number(request: DemoRequest) -> str:
    """The question with the conversation's last number in the place of "that"."""
    number = next(_numbers(request), "")
    if not number:
        return ""
    if _CONTINUES.search(request.question):
        return _CONTINUES.sub(f"{number} ", request.question, count=1)
    return _THAT.sub(number, request.question, count=1)


def _numbers(request: DemoRequest) -> Iterator[str]:
    """The calculator's results and the numbers of answers, the latest first."""
    for message in reversed(request.earlier):
        if isinstance(message, FunctionExecutionResultMessage):
            results = (one for one in message.content if one.name == CALCULATE and not one.is_error)
            yield from (one.content.rpartition("=")[2].strip().replace(",", "") for one in results)
        elif isinstance(message, AssistantMessage):
            yield from (number.replace(",", "") for number in reversed(_SAID_VALUE.findall(text_of(message))))


def read_calculation(question: str) -> Calculation | None:
    """None unless the whole question is one phrase ("average of 3 and 5") or one formula ("12 * (3 + 4)")."""
    if len(question) > _MAX_CHARACTERS:
        return None
    text = _plain(question)
    for pattern, template in _PHRASES:
        if re.fullmatch(pattern, text):
            numbers = re.findall(_N, text)
            return Calculation(template.format(*numbers, sum=" + ".join(numbers), count=len(numbers)), text)
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
