"""The shapes of an OpenAI-compatible answer: just the fields that are used, and anything goes in the others.

https://platform.openai.com/docs/api-reference/chat-streaming. Every field may be missing or null: somewhere it is.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from autogen_core.models import ChatCompletionTokenLogprob, FinishReasons, RequestUsage, TopLogprob


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # some send the object itself


class ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None  # DeepSeek, vLLM, llama.cpp
    reasoning: str | None = None  # Ollama, OpenRouter
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None


class OtherToken(msgspec.Struct, gc=False):
    """One that might have been written instead."""

    logprob: float | None = None
    bytes: list[int] | None = None


class TokenLogprob(msgspec.Struct):
    token: str = ""
    logprob: float | None = None  # what JSON has no number for, such as -inf
    bytes: list[int] | None = None
    top_logprobs: list[OtherToken] | None = None


class Logprobs(msgspec.Struct):
    content: list[TokenLogprob] | None = None


class Choice(msgspec.Struct):
    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None  # in an answer that is not streamed
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] | None = None
    usage: Usage | None = None
    object: str | None = None
    error: Any = None
    message: Any = None


decode_chunk: Final = msgspec.json.Decoder(Chunk).decode

_FINISH_REASONS: Final[dict[str, FinishReasons]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "function_call": "function_calls",
    "function_calls": "function_calls",
    "content_filter": "content_filter",
    "end_turn": "stop",  # Anthropic's word, let through by proxies
    "max_tokens": "length",  # likewise
}
_IMPOSSIBLE: Final = -9999.0  # what OpenAI says of a token that is not likely at all


def finish_reason(said: str | None) -> FinishReasons:
    return _FINISH_REASONS.get((said or "").lower(), "unknown")


def token_logprobs(tokens: Sequence[TokenLogprob]) -> list[ChatCompletionTokenLogprob] | None:
    """As `CreateResult.logprobs` has them; None where there are none."""
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


def request_usage(usage: Usage | None) -> RequestUsage | None:
    """None where it was not said, or only zeros were."""
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens):
        return None
    return RequestUsage(prompt_tokens=usage.prompt_tokens or 0, completion_tokens=usage.completion_tokens or 0)
