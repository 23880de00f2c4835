"""What the demo model's skills read and give: the question, the messages around it, and a reply with its label."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from aiostream_server.models.provider import ModelRequest
from aiostream_server.text import typed_question

LABEL: Final = "(demo model: rules, not a language model)"
CONFIGURE: Final = "For questions of any kind, configure a language model as `[models.default]`."
# These bound the time of every rule: the rules run in the event loop.
_MAX_QUESTION_CHARACTERS: Final = 2000
_MAX_TEXT_CHARACTERS: Final = 20_000
_MAX_EARLIER_MESSAGES: Final = 60
_ASKED_FOR_YES: Final = "**yes**"
_YES: Final = re.compile(r"\W*[^\W\d]{1,8}(?:\W+[^\W\d]{1,8}){0,2}\W*")


@dataclass(frozen=True, slots=True)
class DemoReply:
    """`text` is said first; then `tool` is called with `arguments`, JSON text, if there is one."""

    text: str
    tool: str = ""
    arguments: str = ""


def say(text: str) -> DemoReply:
    return DemoReply(f"{text} {LABEL}")


def call(tool: str, *, thought: str = "", **arguments: str | Sequence[str]) -> DemoReply:
    """A tool call; a `thought` is said before it, with the label."""
    return DemoReply(f"{thought} {LABEL}" if thought else "", tool, json.dumps(arguments, ensure_ascii=False))


def shorten(text: str, *, words: int = 24, characters: int = 160) -> str:
    """The beginning of a text on one line; an ellipsis marks an omission."""
    text = " ".join(text[: characters * 4].split())
    short = " ".join(text.split()[:words])[:characters]
    return short if short == text else f"{short.rstrip('.,;: ')} …"


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """`earlier` are messages before the question; `later` are tool results and other agents' words after it."""

    system: str
    question: str
    last: str
    later: Sequence[LLMMessage]
    tools: frozenset[str]
    databases: Sequence[str] = ()
    earlier: Sequence[LLMMessage] = ()

    def has_called(self, tool: str) -> bool:
        """Whether this tool was called since the question."""
        made = (m.content for m in self.later if isinstance(m, AssistantMessage) and not isinstance(m.content, str))
        return any(one.name == tool for calls in made for one in calls)

    def result(self, tool: str) -> FunctionExecutionResult | None:
        """The tool's last result since the question."""
        return next((one for one in _results(self.later) if one.name == tool), None)

    def remembered(self, tool: str) -> FunctionExecutionResult | None:
        """The tool's last successful result before the question."""
        return next((one for one in _results(self.earlier) if one.name == tool and not one.is_error), None)

    def earlier_questions(self) -> list[str]:
        return [_typed(message)[:_MAX_QUESTION_CHARACTERS] for message in self.earlier if _is_users(message)]

    def later_texts(self) -> list[str]:
        """Everything said after the question, the latest first."""
        return [text_of(message) for message in reversed(self.later)]


def read_request(request: ModelRequest) -> DemoRequest:
    """The question is the last message of the source "user", or else the last user message.

    A short reply to an agent that asks for **yes** is not a question.
    """
    messages = list(request.messages)
    asked = [i for i, m in enumerate(messages) if isinstance(m, UserMessage)]
    by_user = [i for i in asked if _is_users(messages[i]) and not _is_consent(messages, i)]
    at = max(by_user or asked, default=-1)
    names = frozenset(tool["name"] for tool in request.tools)
    offered = {"auto": names, "required": names, "none": frozenset[str]()}
    return DemoRequest(
        system="\n".join(m.content for m in messages if isinstance(m, SystemMessage))[:_MAX_TEXT_CHARACTERS],
        question=_typed(messages[at])[:_MAX_QUESTION_CHARACTERS] if at >= 0 else "",
        last=next((t for m in reversed(messages) if not isinstance(m, SystemMessage) and (t := text_of(m))), ""),
        later=messages[at + 1 :],
        earlier=messages[max(0, at - _MAX_EARLIER_MESSAGES) : max(0, at)],
        tools=offered.get(request.tool_choice, names & {request.tool_choice}),
        databases=_offered_databases(request),
    )


def text_of(message: LLMMessage) -> str:
    """The words of a message, without images and tool calls."""
    if isinstance(message, FunctionExecutionResultMessage):
        return "\n".join(one.content for one in message.content)
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part for part in message.content if isinstance(part, str))


def _typed(message: LLMMessage) -> str:
    """A user's words, without the files' text that a chat page put before them."""
    return typed_question(text_of(message))


def _is_users(message: LLMMessage) -> bool:
    return isinstance(message, UserMessage) and message.source == "user"


def _is_consent(messages: Sequence[LLMMessage], i: int) -> bool:
    """Whether a short reply follows a request for **yes** and precedes the rows that it released."""
    asked = messages[i - 1] if i else None
    was_asked = isinstance(asked, UserMessage) and not _is_users(asked) and _ASKED_FOR_YES in text_of(asked)
    return was_asked and i + 1 < len(messages) and _YES.fullmatch(_typed(messages[i])) is not None


def _results(messages: Sequence[LLMMessage]) -> Iterator[FunctionExecutionResult]:
    """The latest first."""
    for message in reversed(messages):
        if isinstance(message, FunctionExecutionResultMessage):
            yield from reversed(message.content)


def _offered_databases(request: ModelRequest) -> Sequence[str]:
    """The listed values of the tools' parameter `database`."""
    properties = [tool["parameters"]["properties"] for tool in request.tools if "parameters" in tool]
    return list(dict.fromkeys(str(name) for one in properties for name in one.get("database", {}).get("enum", ())))
