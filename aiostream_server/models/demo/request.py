"""A model request as the demo model's skills read it: the question, what was said after it, and the tools."""

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

from aiostream_server.models.provider import ModelRequest

_MAX_QUESTION_CHARACTERS: Final = 2000  # bounds the time of every rule
_MAX_EARLIER_MESSAGES: Final = 60
_ASKED_FOR_YES: Final = "**yes**"
_YES: Final = re.compile(r"\W*[^\W\d]{1,8}(?:\W+[^\W\d]{1,8}){0,2}\W*")


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """`earlier` are messages before the question; `later` are tool results and other agents' words after it."""

    system: str
    question: str
    last: str
    later: tuple[LLMMessage, ...]
    tools: frozenset[str]
    databases: tuple[str, ...] = ()
    earlier: tuple[LLMMessage, ...] = ()

    def calls(self, tool: str) -> list[FunctionCall]:
        """The calls of this tool since the question."""
        made = (m.content for m in self.later if isinstance(m, AssistantMessage) and not isinstance(m.content, str))
        return [one for calls in made for one in calls if one.name == tool]

    def result(self, tool: str) -> FunctionExecutionResult | None:
        """The tool's last result since the question."""
        return next((one for one in reversed(list(_results(self.later))) if one.name == tool), None)

    def remembered(self, tool: str) -> FunctionExecutionResult | None:
        """The tool's last successful result, for this question or an earlier one."""
        results = reversed([*_results(self.earlier), *_results(self.later)])
        return next((one for one in results if one.name == tool and not one.is_error), None)

    def earlier_questions(self) -> list[str]:
        return [text_of(message)[:_MAX_QUESTION_CHARACTERS] for message in self.earlier if _is_users(message)]

    def later_texts(self) -> list[str]:
        """Everything said after the question, the latest first."""
        return [text_of(message) for message in reversed(self.later)]


def read_request(request: ModelRequest) -> DemoRequest:
    """The question is the last message of the source "user", or else the last user message.

    A short reply to an agent that asks for **yes** is not a question.
    """
    messages = list(request.messages)
    asked_at = _question_index(messages)
    return DemoRequest(
        system="\n".join(m.content for m in messages if isinstance(m, SystemMessage)),
        question=text_of(messages[asked_at])[:_MAX_QUESTION_CHARACTERS] if asked_at >= 0 else "",
        last=next((t for m in reversed(messages) if not isinstance(m, SystemMessage) and (t := text_of(m))), ""),
        later=tuple(messages[asked_at + 1 :]),
        earlier=tuple(messages[max(0, asked_at - _MAX_EARLIER_MESSAGES) : max(0, asked_at)]),
        tools=_offered_tools(request),
        databases=_offered_databases(request),
    )


def text_of(message: LLMMessage) -> str:
    """The words of a message, without images and tool calls."""
    if isinstance(message, FunctionExecutionResultMessage):
        return "\n".join(one.content for one in message.content)
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part for part in message.content if isinstance(part, str))


def _question_index(messages: Sequence[LLMMessage]) -> int:
    asked = [i for i, m in enumerate(messages) if isinstance(m, UserMessage)]
    by_user = [i for i in asked if _is_users(messages[i]) and not _is_consent(messages, i)]
    return max(by_user or asked, default=-1)


def _is_users(message: LLMMessage) -> bool:
    return isinstance(message, UserMessage) and message.source == "user"


def _is_consent(messages: Sequence[LLMMessage], i: int) -> bool:
    """Whether a short reply follows a request for **yes** and precedes the rows that it released."""
    asked = messages[i - 1] if i else None
    was_asked = isinstance(asked, UserMessage) and not _is_users(asked) and _ASKED_FOR_YES in text_of(asked)
    return was_asked and i + 1 < len(messages) and _YES.fullmatch(text_of(messages[i])) is not None


def _results(messages: Sequence[LLMMessage]) -> Iterator[FunctionExecutionResult]:
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            yield from message.content


def _offered_tools(request: ModelRequest) -> frozenset[str]:
    names = frozenset(tool["name"] for tool in request.tools)
    match request.tool_choice:
        case "auto" | "required":
            return names
        case "none":
            return frozenset()
        case chosen:
            return names & {chosen}


def _offered_databases(request: ModelRequest) -> tuple[str, ...]:
    """The listed values of the tools' parameter `database`."""
    properties = [tool["parameters"]["properties"] for tool in request.tools if "parameters" in tool]
    names = (str(name) for one in properties for name in one.get("database", {}).get("enum", ()))
    return tuple(dict.fromkeys(names))
