"""The general assistant: calculates with the tool it is given, knows a few fixed things, is honest about the rest."""

import re
from typing import Final

from autogen_core.models import FunctionExecutionResult

from aiostream_server.models.demo.arithmetic import Sum, find_sum
from aiostream_server.models.demo.conversation import Conversation
from aiostream_server.models.demo.recall import recall, with_value
from aiostream_server.models.demo.speech import Reply, call, gist, say

TOOL: Final = "calculate"
_VALUE: Final = re.compile(r"[-+\d.,eE ]*\d[-+\d.,eE ]*")
_CAN: Final = "I can calculate (“What is 15% of 850?”) and look up the demo database (“Total sales by region”)."
_KNOWN: Final = (
    (r"^(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening|day)|greetings)\b.{0,30}$", f"Hello! {_CAN}"),
    (r"\b(?:thanks|thank you|cheers)\b", "You are welcome."),
    (
        r"\bwho are you\b|\bwhat are you\b|\byour name\b|\bare you (?:a|an|the|really|human|real)\b|\bwhich model\b",
        f"I am the demo model of this server, made of a few hundred rules. {_CAN}",
    ),
    (r"\bwhat (?:can|do) you do\b|\bhow can you help\b|\bcan you help\b|^help\b|\bhow do you work\b", _CAN),
    (r"\bhow are you\b", "All rules are in order, thank you."),
    (r"^(?:bye|goodbye|see you)\b", "Goodbye!"),
)


def answer(conversation: Conversation) -> Reply:
    """Ask the calculator first; say its result when it is there."""
    result = conversation.result(TOOL)
    if result:
        return _say_result(_wanted_sum(conversation), result)
    wanted = _wanted_sum(conversation)
    if wanted and TOOL in conversation.tools:
        return call(TOOL, expression=wanted.expression)
    return say(recall(conversation) or _small_talk(conversation.question))


def _wanted_sum(conversation: Conversation) -> Sum | None:
    """The sum of the question itself, or of what it says about the last number ("and half of that?")."""
    return find_sum(conversation.question) or find_sum(with_value(conversation))


def _say_result(wanted: Sum | None, result: FunctionExecutionResult) -> Reply:
    value = result.content.rpartition("=")[2].strip()
    if result.is_error or not _VALUE.fullmatch(value):
        return say(f"The calculator could not work that out: {gist(result.content)}")
    spoken = wanted.spoken if wanted else "the result"
    return say(f"{spoken[0].upper()}{spoken[1:]} is {value}.")


def _small_talk(question: str) -> str:
    text = question.strip().casefold()
    for pattern, words in _KNOWN:
        if re.search(pattern, text):
            return words
    asked = f"You asked “{gist(question)}”, and that is beyond my rules. " if text else ""
    return f"{asked}{_CAN}"
