"""A conversation as a chat template takes it that knows of no tools.

Many templates are strict: no system message but the first, roles in turn, no message of any other kind. What agents do
in a team is none of that, so messages of one role that follow each other become one, and calls become text.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

_USE_RESULT: Final = "Answer with this result."


def in_turn(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """What has the same role becomes one message; a later system message is a user's."""
    leading = len(list(takewhile(_is_system, messages)))
    turns: list[LLMMessage] = list(messages[:leading])
    for message in map(_without_later_system, messages[leading:]):
        match turns[-1:], message:
            case [UserMessage() as last], UserMessage():
                turns[-1] = UserMessage(content=f"{_text(last)}\n\n{_text(message)}", source=message.source)
            case [AssistantMessage(content=str() as before)], AssistantMessage(content=str() as text):
                turns[-1] = AssistantMessage(content=f"{before}\n\n{text}", source=message.source)
            case _:
                turns.append(message)
    return turns


def as_replies(messages: Sequence[LLMMessage], instructions: str) -> list[LLMMessage]:
    """For a model whose reply is to be JSON: what it said before is JSON, too."""
    leading = [str(message.content) for message in takewhile(_is_system, messages)]
    system: LLMMessage = SystemMessage(content="\n\n".join((*leading, instructions)))
    return in_turn([system, *map(_as_reply, messages[len(leading) :])])


def without_calls(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """For a model that is to answer in words: calls and their results are what it said."""
    said = list(_told(messages))
    if messages and isinstance(messages[-1], FunctionExecutionResultMessage):
        said.append(UserMessage(content=_USE_RESULT, source="user"))
    return in_turn(said)


def _as_reply(message: LLMMessage) -> LLMMessage:
    match message:
        case AssistantMessage(content=str() as text):
            return AssistantMessage(content=json.dumps({"answer": text}, ensure_ascii=False), source=message.source)
        case AssistantMessage(content=list() as calls):
            return AssistantMessage(content="\n".join(map(_call, calls)), source=message.source)
        case FunctionExecutionResultMessage():
            results = (f"Result of {result.name}: {result.content}" for result in message.content)
            return UserMessage(content="\n".join(results), source="tools")
        case _:
            return message


def _told(messages: Sequence[LLMMessage]) -> Iterator[LLMMessage]:
    calls: dict[str, FunctionCall] = {}
    for message in messages:
        match message:
            case AssistantMessage(content=list() as called):
                calls |= {call.id: call for call in called}
                if message.thought:
                    yield AssistantMessage(content=message.thought, source=message.source)
            case FunctionExecutionResultMessage():
                lines = [
                    f"{result.name}({_arguments(calls.get(result.call_id))}) = {result.content}"
                    for result in message.content
                ]
                yield AssistantMessage(content="\n".join(lines), source="tools")
            case _:
                yield message


def _arguments(call: FunctionCall | None) -> str:
    return call.arguments if call is not None else ""


def _call(call: FunctionCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    return json.dumps({"tool": call.name, "arguments": arguments}, ensure_ascii=False)


def _is_system(message: LLMMessage) -> bool:
    return isinstance(message, SystemMessage)


def _without_later_system(message: LLMMessage) -> LLMMessage:
    return UserMessage(content=message.content, source="system") if isinstance(message, SystemMessage) else message


def _text(message: UserMessage) -> str:
    content = message.content
    return content if isinstance(content, str) else "\n".join(part for part in content if isinstance(part, str))
