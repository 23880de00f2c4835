"""A model request, read the way the skills need it: the question, what came after it, and which tools there are."""

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


@dataclass(frozen=True, slots=True)
class Conversation:
    """`later` is all that was said after the question: the tools' results and other agents' words."""

    system: str
    question: str
    last: str
    later: tuple[LLMMessage, ...]
    tools: frozenset[str]
    databases: tuple[str, ...] = ()

    def calls(self, tool: str) -> list[FunctionCall]:
        """The calls of this tool that were made for the question."""
        made = (m.content for m in self.later if isinstance(m, AssistantMessage) and not isinstance(m.content, str))
        return [one for calls in made for one in calls if one.name == tool]

    def result(self, tool: str) -> FunctionExecutionResult | None:
        """What the tool answered last."""
        return next((one for one in reversed(list(_results(self.later))) if one.name == tool), None)

    def texts(self) -> list[str]:
        """Everything said after the question, the latest first, and then the question itself."""
        return [text_of(message) for message in reversed(self.later)] + [self.question]


def read(request: ModelRequest) -> Conversation:
    """The question is the last that the source "user" said, or else the last message to the model."""
    messages = list(request.messages)
    asked_at = _question_index(messages)
    return Conversation(
        system="\n".join(m.content for m in messages if isinstance(m, SystemMessage)),
        question=text_of(messages[asked_at])[:_LONGEST_QUESTION] if asked_at >= 0 else "",
        last=next((t for m in reversed(messages) if not isinstance(m, SystemMessage) and (t := text_of(m))), ""),
        later=tuple(messages[asked_at + 1 :]),
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
    by_user = [i for i in asked if getattr(messages[i], "source", "") == "user"]
    return max(by_user or asked, default=-1)


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
