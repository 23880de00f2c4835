"""The chunks of an OpenAI-compatible answer: the used fields only, decoded strictly, because it is the fastest way.

https://platform.openai.com/docs/api-reference/chat-streaming. Every field may be missing or null: some provider omits
each of them. A message and a tool call know all of their fields: a chunk with another one does not fit, and is read a
second time, by `extra_fields` where that is all, else by `odd_chunks`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from autogen_core.models import ChatCompletionTokenLogprob, RequestUsage, TopLogprob

EXTRA: Final = "(extra)"  # no provider's key
THOUGHT: Final = "(thought)"


class Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # some send the object itself


class ToolCallPiece(msgspec.Struct, forbid_unknown_fields=True):
    index: int | None = None
    id: str | None = None
    type: Any = None
    function: Function | None = None
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)  # from `extra_fields.set_apart`


class ProviderDelta(msgspec.Struct, forbid_unknown_fields=True):
    content: str | None = None
    reasoning_content: str | None = None  # DeepSeek, vLLM, llama.cpp
    reasoning: str | None = None  # Ollama, OpenRouter
    refusal: str | None = None
    tool_calls: list[ToolCallPiece] | None = None
    function_call: Function | None = None  # the form before `tool_calls`
    # Extra fields that come with every token.
    reasoning_details: list[Any] | None = None  # OpenRouter
    thinking_blocks: list[Any] | None = None  # LiteLLM
    provider_specific_fields: dict[str, Any] | None = None
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)  # from `extra_fields.set_apart`
    thought: str | None = msgspec.field(default=None, name=THOUGHT)  # from `odd_chunks`
    # Known, and not wanted back.
    role: Any = None
    name: Any = None
    annotations: Any = None
    audio: Any = None
    citations: Any = None
    images: Any = None
    prefix: Any = None
    token_ids: Any = None


class OtherToken(msgspec.Struct, gc=False):
    """An alternative to the chosen token."""

    logprob: float | None = None
    bytes: list[int] | None = None


class TokenLogprob(msgspec.Struct):
    token: str = ""
    logprob: float | None = None  # null where JSON has no number, such as -inf
    bytes: list[int] | None = None
    top_logprobs: list[OtherToken] | None = None


class Logprobs(msgspec.Struct):
    content: list[TokenLogprob] | None = None


class Choice(msgspec.Struct):
    index: int | None = None
    delta: ProviderDelta | None = None
    message: ProviderDelta | None = None  # in an answer that is not streamed
    text: str | None = None  # in an answer of the older completions
    finish_reason: str | None = None
    native_finish_reason: str | None = None  # the upstream's own word, from OpenRouter
    logprobs: Logprobs | None = None
    error: Any = None  # OpenRouter and others report a failure of the upstream here


_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class ProviderUsage(msgspec.Struct, gc=False):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class ProviderChunk(msgspec.Struct):
    choices: list[Choice] | None = None
    usage: ProviderUsage | None = None
    object: str | None = None
    error: Any = None
    message: Any = None


class _TextDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class _TextChoice(msgspec.Struct, gc=False):
    delta: _TextDelta
    index: int | None = None
    message: None = None
    text: None = None
    finish_reason: None = None
    native_finish_reason: None = None
    logprobs: None = None
    error: None = None


class TextChunk(msgspec.Struct, gc=False):
    """A chunk that holds nothing but text or reasoning, as most do; no other fits."""

    choices: Annotated[list[_TextChoice], msgspec.Meta(min_length=1, max_length=1)]
    usage: None = None
    object: str | None = None
    error: None = None


decode_chunk: Final = msgspec.json.Decoder(ProviderChunk).decode
decode_text_chunk: Final = msgspec.json.Decoder(TextChunk).decode

_IMPOSSIBLE: Final = -9999.0  # OpenAI's value for a very unlikely token


def token_logprobs(tokens: Sequence[TokenLogprob]) -> list[ChatCompletionTokenLogprob] | None:
    """The value of `CreateResult.logprobs`; None without tokens."""
    return [
        ChatCompletionTokenLogprob(
            token=at.token,
            logprob=_logprob(at.logprob),
            bytes=at.bytes,
            top_logprobs=[TopLogprob(_logprob(other.logprob), other.bytes) for other in at.top_logprobs or ()],
        )
        for at in tokens
    ] or None


def _logprob(said: float | None) -> float:
    return _IMPOSSIBLE if said is None else said


def request_usage(usage: ProviderUsage | None) -> RequestUsage | None:
    """None if it is missing or all zero."""
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens):
        return None
    return RequestUsage(prompt_tokens=usage.prompt_tokens or 0, completion_tokens=usage.completion_tokens or 0)
