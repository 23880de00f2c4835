"""AutoGen's messages as the `messages` of OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat/create. Two things are done for the many other servers that speak
this API: the system messages that begin a conversation become one, and no message carries a `name`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, TypeAlias, assert_never

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

Wire: TypeAlias = dict[str, Any]


def wire_messages(messages: Sequence[LLMMessage]) -> list[Wire]:
    """Encoding images takes CPU time: where `has_images`, call this in a thread."""
    leading = [message.content for message in takewhile(_is_system, messages)]
    wire = [_system("\n".join(map(str, leading)))] if leading else []
    wire.extend(item for message in messages[len(leading) :] for item in _wire(message))
    return wire


def has_images(messages: Sequence[LLMMessage]) -> bool:
    return any(
        isinstance(part, Image)
        for message in messages
        if isinstance(message, UserMessage) and not isinstance(message.content, str)
        for part in message.content
    )


def _is_system(message: LLMMessage) -> bool:
    return isinstance(message, SystemMessage)


def _wire(message: LLMMessage) -> Iterator[Wire]:
    match message:
        case SystemMessage():
            yield _system(message.content)
        case UserMessage():
            content = message.content
            yield {"role": "user", "content": content if isinstance(content, str) else list(map(_part, content))}
        case AssistantMessage():
            yield _assistant(message)
        case FunctionExecutionResultMessage():
            for result in message.content:
                yield {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
        case _:
            assert_never(message)


def _system(content: str) -> Wire:
    return {"role": "system", "content": content}


def _part(part: str | Image) -> Wire:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.data_uri}}


def _assistant(message: AssistantMessage) -> Wire:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}  # models are not sent their reasoning back
    # Beside calls the thought is mostly text that was said: it belongs to the conversation.
    return {"role": "assistant", "content": message.thought, "tool_calls": list(map(_call, message.content))}


def _call(call: FunctionCall) -> Wire:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def without_surrogates(value: Any) -> Any:
    """The same JSON value with every lone surrogate, which UTF-8 cannot carry, replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_surrogates(item) for item in value]
    return value
