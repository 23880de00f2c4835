"""A model request, read the way the skills need it: the question, what came after it, and which tools there are."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema

from aiostream_server.models.provider import ModelRequest

_LONGEST_QUESTION: Final = 2000  # characters that the rules look at: their time is bounded, whatever is pasted
_MOST_EARLIER: Final = 60  # messages
_ASKED_FOR_YES: Final = "**yes**"
_YES: Final = re.compile(r"\W*[^\W\d]{1,8}(?:\W+[^\W\d]{1,8}){0,2}\W*")


@dataclass(frozen=True, slots=True)
class Conversation:
    """`later` is all that was said after the question: the tools' results and other agents' words; `earlier` is what
    is remembered of the time before it.
    """

    system: str
    question: str
    last: str
    later: tuple[LLMMessage, ...]
    tools: frozenset[str]
    databases: tuple[str, ...] = ()
    earlier: tuple[LLMMessage, ...] = ()

    def calls(self, tool: str) -> list[FunctionCall]:
        """The calls of this tool that were made for the question."""
        made = (m.content for m in self.later if isinstance(m, AssistantMessage) and not isinstance(m.content, str))
        return [one for calls in made for one in calls if one.name == tool]

    def result(self, tool: str) -> FunctionExecutionResult | None:
        """What the tool answered last."""
        return next((one for one in reversed(list(_results(self.later))) if one.name == tool), None)

    def remembered(self, tool: str) -> FunctionExecutionResult | None:
        """What the tool answered last, for this question or an earlier one, errors aside."""
        results = reversed([*_results(self.earlier), *_results(self.later)])
        return next((one for one in results if one.name == tool and not one.is_error), None)

    def asked_before(self) -> list[str]:
        """The user's earlier questions."""
        return [text_of(message)[:_LONGEST_QUESTION] for message in self.earlier if _is_users(message)]

    def texts(self) -> list[str]:
        """Everything said after the question, the latest first, and then the question itself."""
        return [text_of(message) for message in reversed(self.later)] + [self.question]


def read(request: ModelRequest) -> Conversation:
    """The question is the last that the source "user" said, or else the last message to the model.

    A word that only agrees to what an agent asked ("Reply **yes** ...") is not the question.
    """
    messages = list(request.messages)
    asked_at = _question_index(messages)
    return Conversation(
        system="\n".join(m.content for m in messages if isinstance(m, SystemMessage)),
        question=text_of(messages[asked_at])[:_LONGEST_QUESTION] if asked_at >= 0 else "",
        last=next((t for m in reversed(messages) if not isinstance(m, SystemMessage) and (t := text_of(m))), ""),
        later=tuple(messages[asked_at + 1 :]),
        earlier=tuple(messages[max(0, asked_at - _MOST_EARLIER) : max(0, asked_at)]),
        tools=_offered(request),
        databases=tuple(dict.fromkeys(name for tool in request.tools for name in _choices(tool, "database"))),
    )


def text_of(message: LLMMessage) -> str:
    """The words of a message: without images, and without the calls of tools."""
    if isinstance(message, FunctionExecutionResultMessage):
        return "\n".join(one.content for one in message.content)
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part for part in message.content if isinstance(part, str))


def count_words(messages: Sequence[LLMMessage]) -> int:
    """What stands in for the prompt's tokens."""
    return sum(len(text_of(message).split()) for message in messages)


def _question_index(messages: Sequence[LLMMessage]) -> int:
    asked = [i for i, m in enumerate(messages) if isinstance(m, UserMessage)]
    by_user = [i for i in asked if _is_users(messages[i]) and not _agrees(messages, i)]
    return max(by_user or asked, default=-1)


def _is_users(message: LLMMessage) -> bool:
    return isinstance(message, UserMessage) and message.source == "user"


def _agrees(messages: Sequence[LLMMessage], i: int) -> bool:
    """Rows behind it show that it was a yes."""
    asked = messages[i - 1] if i else None
    was_asked = isinstance(asked, UserMessage) and not _is_users(asked) and _ASKED_FOR_YES in text_of(asked)
    return was_asked and i + 1 < len(messages) and _YES.fullmatch(text_of(messages[i])) is not None


def _results(messages: Sequence[LLMMessage]) -> Iterator[FunctionExecutionResult]:
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            yield from message.content


def _offered(request: ModelRequest) -> frozenset[str]:
    names = frozenset(tool["name"] for tool in request.tools)
    match request.tool_choice:
        case "auto" | "required":
            return names
        case "none":
            return frozenset()
        case chosen:
            return names & {chosen}


def _choices(tool: ToolSchema, parameter: str) -> list[str]:
    """The values that a tool's parameter may have, where they are listed."""
    properties = tool["parameters"]["properties"] if "parameters" in tool else {}
    return [str(value) for value in properties.get(parameter, {}).get("enum", ())]
