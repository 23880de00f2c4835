"""What the general assistant remembers of a conversation: the user's name, the last number, the questions."""

import re
from collections.abc import Iterator
from typing import Final

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage

from aiostream_server.models.demo.conversation import Conversation, text_of
from aiostream_server.models.demo.speech import gist

_NAME: Final = r"([^\W\d][\w'’-]{0,40}(?: [^\W\da-z][\w'’-]{0,40})?)"
_IS_NAME: Final = re.compile(rf"\b(?i:my name is|i am called|you can call me|call me) {_NAME}")
_ASKS_NAME: Final = re.compile(
    r"\b(?:what(?:'s|’s| is)|(?:do )?you (?:know|remember)|tell me|say) my name\b|\bwho am i\b|\bwhat am i called\b",
    re.IGNORECASE,
)
_ASKS_QUESTION: Final = re.compile(
    r"\bwhat (?:did i|was it (?:that )?i) (?:just )?(?:ask|say)\b|\bmy (?:last|previous) (?:question|message)\b",
    re.IGNORECASE,
)
_THAT: Final = re.compile(r"\b(?:that|it|this|the (?:result|answer|number|total|same))\b", re.IGNORECASE)
_GOES_ON: Final = re.compile(
    r"^\W*(?:(?:and|now|then|so|what about|ok|okay)\b[\s,]*)*"
    r"(?=(?:plus|minus|times|multiplied by|divided by|over)\s*[\d.])",
    re.IGNORECASE,
)
_SAID_VALUE: Final = re.compile(r"\b(?:is|are|was|were|of) \**(-?\d[\d,]*(?:\.\d+)?)\**(?=\.(?:\s|$))")
_VALUE: Final = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_CALCULATOR: Final = "calculate"


def recall(conversation: Conversation) -> str | None:
    """The answer to a question about the conversation itself; None where it is another question."""
    question = conversation.question
    if _ASKS_NAME.search(question):
        name = _name(conversation)
        return f"Your name is {name}." if name else "You have not told me your name."
    if _ASKS_QUESTION.search(question):
        asked = conversation.asked_before()
        return f"You asked “{gist(asked[-1])}”." if asked else "This is the first thing that you asked me."
    if told := _IS_NAME.search(question):
        return f"Nice to meet you, {told[1]}."
    return None


def with_value(conversation: Conversation) -> str:
    """The question with the last number that was said in the place of "that"; as it is where there is none."""
    question = conversation.question
    value = next(_values(conversation), "")
    if not value:
        return question
    if _GOES_ON.search(question):
        return _GOES_ON.sub(f"{value} ", question, count=1)
    return _THAT.sub(value, question, count=1)


def _name(conversation: Conversation) -> str | None:
    told = (_IS_NAME.search(text) for text in reversed(conversation.asked_before()))
    return next((found[1] for found in told if found), None)


def _values(conversation: Conversation) -> Iterator[str]:
    """The numbers that were worked out or said, the latest first."""
    for message in reversed(conversation.earlier):
        if isinstance(message, FunctionExecutionResultMessage):
            results = (one for one in reversed(message.content) if one.name == _CALCULATOR and not one.is_error)
            values = (one.content.rpartition("=")[2].strip() for one in results)
            yield from (value.replace(",", "") for value in values if _VALUE.fullmatch(value))
        elif isinstance(message, AssistantMessage):
            yield from (value.replace(",", "") for value in reversed(_SAID_VALUE.findall(text_of(message))))
