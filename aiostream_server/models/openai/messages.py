"""AutoGen's messages as the `messages` of OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat/create. For other servers with this API, leading system messages
become one, no message is empty, and none has a `name` unless it is configured (Groq and Mistral refuse it). What else
a model demands is its `MessageDialect`.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, assert_never

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from aiostream_server.config.providers import MessageNames
from aiostream_server.models.families import MessageRule
from aiostream_server.models.openai.accepted_messages import TAKES_ALL, MessageDialect
from aiostream_server.models.openai.sequences import SequenceTurn, Wire, fitted, without_empty
from aiostream_server.models.provider import ExtraFields, KeptAnswer

_NOTHING_KEPT: Final[Mapping[int, KeptAnswer]] = {}
_NO_EXTRA: Final = ExtraFields({})

_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME: Final = 64


def wire_messages(
    messages: Sequence[LLMMessage],
    names: MessageNames = "none",
    kept: Mapping[int, KeptAnswer] = _NOTHING_KEPT,
    dialect: MessageDialect = TAKES_ALL,
) -> list[Wire]:
    """If `has_images`, call this in a thread: encoding images takes CPU time."""
    turns = [
        SequenceTurn(wire, message.source if isinstance(message, UserMessage) else "")
        for index, message in enumerate(messages)
        for wire in _wire(message, names, kept.get(index), dialect)
    ]
    return fitted(_with_one_leading_system(without_empty(turns)), dialect.rules, are_named=names == "prefix")


def _with_one_leading_system(turns: Sequence[SequenceTurn]) -> Sequence[SequenceTurn]:
    leading = [turn.message["content"] for turn in takewhile(lambda turn: turn.role == "system", turns)]
    if len(leading) <= 1:
        return turns
    return [SequenceTurn({"role": "system", "content": "\n".join(leading)}), *turns[len(leading) :]]


def has_images(messages: Sequence[LLMMessage]) -> bool:
    return any(
        isinstance(part, Image)
        for message in messages
        if isinstance(message, UserMessage) and not isinstance(message.content, str)
        for part in message.content
    )


def _wire(message: LLMMessage, names: MessageNames, kept: KeptAnswer | None, dialect: MessageDialect) -> Sequence[Wire]:
    match message:
        case UserMessage():
            return (_user(message, names),)
        case AssistantMessage():
            return (_assistant(message, kept, dialect),)
        case SystemMessage(content=text):
            return ({"role": "system", "content": text},)
        case FunctionExecutionResultMessage(content=results):
            return [_result(one, dialect) for one in results]
        case _:
            assert_never(message)


def _result(result: FunctionExecutionResult, dialect: MessageDialect) -> Wire:
    wire: Wire = {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
    if MessageRule.RESULTS_NAMED in dialect.rules and result.name:
        wire["name"] = result.name
    return wire


def _assistant(message: AssistantMessage, kept: KeptAnswer | None, dialect: MessageDialect) -> Wire:
    """Reasoning goes back only in the fields that it came in."""
    extra = kept.extra if kept is not None else _NO_EXTRA
    beside = dialect.sent_back(extra.message)
    if isinstance(message.content, str):
        return {**beside, "role": "assistant", "content": message.content}
    calls = [
        _call(call, dialect.sent_back_with_call(extra.calls.get(number, {}), is_first=number == 0))
        for number, call in enumerate(message.content)
    ]
    # Beside calls, AutoGen's thought holds the text, too: it belongs to the conversation.
    text = message.thought if kept is None else kept.text or None
    return {**beside, "role": "assistant", "content": text, "tool_calls": calls}


def _user(message: UserMessage, names: MessageNames) -> Wire:
    if names == "none" and isinstance(message.content, str):
        return {"role": "user", "content": message.content}
    content = [message.content] if isinstance(message.content, str) else message.content
    parts = list(map(_part, content))
    if names == "prefix" and parts and "text" in parts[0]:
        parts[0]["text"] = f"{message.source} said:\n{parts[0]['text']}"
    wire: Wire = {"role": "user", "content": parts[0]["text"] if isinstance(message.content, str) else parts}
    if names == "field" and message.source:
        wire["name"] = _NOT_IN_A_NAME.sub("_", message.source)[:_MAX_NAME]
    return wire


def _part(part: str | Image) -> Wire:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.data_uri}}


def _call(call: FunctionCall, extra: Mapping[str, Any]) -> Wire:
    function = {**extra.get("function", {}), "name": call.name, "arguments": call.arguments}
    return {**extra, "id": call.id, "type": "function", "function": function}


def without_surrogates(value: Any) -> Any:
    """The same JSON value with each lone surrogate, which UTF-8 cannot encode, replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
