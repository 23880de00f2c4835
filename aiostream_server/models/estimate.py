"""Token counts for where nobody told: about four characters a token.

Exact counts need each model's own vocabulary, which tiktoken downloads at the first use: not in a server.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from autogen_core import FunctionCall, Image
from autogen_core.models import AssistantMessage, FunctionExecutionResult, LLMMessage
from autogen_core.tools import ToolSchema

_CHARACTERS_PER_TOKEN: Final = 4
_CHARACTERS_PER_MESSAGE: Final = 16  # its role, and the marks around it
_CHARACTERS_PER_IMAGE: Final = 3060  # OpenAI's price of a 1024 x 1024 image: 765 tokens


def estimate_tokens(messages: Sequence[LLMMessage], tools: Sequence[ToolSchema] = ()) -> int:
    """What a model would read of these; right within a third for English text."""
    characters = sum(size for message in messages for size in _sizes(message))
    return (characters + sum(len(json.dumps(tool)) for tool in tools)) // _CHARACTERS_PER_TOKEN


def _sizes(message: LLMMessage) -> Iterator[int]:
    """How many characters each part of a message is worth."""
    yield _CHARACTERS_PER_MESSAGE
    if isinstance(message, AssistantMessage) and message.thought:
        yield len(message.thought)
    if isinstance(message.content, str):
        yield len(message.content)
    else:
        yield from map(_size, message.content)


def _size(part: str | Image | FunctionCall | FunctionExecutionResult) -> int:
    match part:
        case str():
            return len(part)
        case Image():
            return _CHARACTERS_PER_IMAGE
        case FunctionCall():
            return len(part.name) + len(part.arguments)
        case FunctionExecutionResult():
            return len(part.content)
