"""The chunks of an OpenAI-compatible answer: the used fields only, and the numbering of tool calls.

https://platform.openai.com/docs/api-reference/chat-streaming. Every field may be missing or null: some provider omits
each of them. A message and a tool call know all of their fields: a chunk with another one does not fit, and
`extra_fields` reads it a second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from autogen_core.models import ChatCompletionTokenLogprob, FinishReasons, RequestUsage, TopLogprob

from aiostream_server.models.provider import CallDelta

EXTRA: Final = "(extra)"  # no provider's key


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
    # Extra fields that come with every token.
    reasoning_details: list[Any] | None = None  # OpenRouter
    thinking_blocks: list[Any] | None = None  # LiteLLM
    provider_specific_fields: dict[str, Any] | None = None
    extra: dict[str, Any] | None = msgspec.field(default=None, name=EXTRA)  # from `extra_fields.set_apart`
    # Known, and not wanted back.
    role: Any = None
    name: Any = None
    annotations: Any = None
    audio: Any = None
    citations: Any = None
    function_call: Any = None
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
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class ProviderUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ProviderChunk(msgspec.Struct):
    choices: list[Choice] | None = None
    usage: ProviderUsage | None = None
    object: str | None = None
    error: Any = None
    message: Any = None


decode_chunk: Final = msgspec.json.Decoder(ProviderChunk).decode

_FINISH_REASONS: Final[dict[str, FinishReasons]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "function_calls",
    "function_call": "function_calls",
    "function_calls": "function_calls",
    "content_filter": "content_filter",
    "end_turn": "stop",  # Anthropic's reasons, passed through by proxies
    "max_tokens": "length",
}
_IMPOSSIBLE: Final = -9999.0  # OpenAI's value for a very unlikely token


def finish_reason(said: str | None) -> FinishReasons:
    return _FINISH_REASONS.get((said or "").lower(), "unknown")


def token_logprobs(tokens: Sequence[TokenLogprob]) -> list[ChatCompletionTokenLogprob] | None:
    """For `CreateResult.logprobs`; None without tokens."""
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


_EMPTY = Function()


@dataclass(slots=True)
class _BegunCall:
    number: int
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object."""
        try:
            msgspec.json.decode("".join(self.arguments), type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class ToolCallNumbering:
    """Numbers the tool calls of one answer 0, 1, 2 ... in the order in which they begin.

    OpenAI numbers calls by `index` and gives id and name in the first piece only. Gemini omits the index, Ollama
    numbers every call 0 (ollama/ollama#15457), some proxies send empty ids, older vLLM sends a new id with each piece,
    others repeat the name. So a new call begins at a name with a new id; without ids, at a name without an index or
    behind complete arguments.
    """

    __slots__ = ("_by_index", "_count", "_last")

    def __init__(self) -> None:
        self._count = 0
        self._last: _BegunCall | None = None
        self._by_index: dict[int, _BegunCall] = {}

    def read(self, piece: ToolCallPiece) -> CallDelta:
        function = piece.function or _EMPTY
        call_id, name, arguments = piece.id or "", function.name or "", _json(function.arguments)
        begun = self._last if piece.index is None else self._by_index.get(piece.index)
        if begun is None or _begins_another(begun, piece.index, call_id, name, arguments):
            begun = self._begin(piece.index)
        self._last = begun
        new_id = call_id if not begun.call_id else ""
        new_name = name if name != begun.name else ""
        begun.call_id += new_id
        begun.name += new_name
        begun.arguments.append(arguments)
        return CallDelta(begun.number, new_id, new_name, arguments)

    def _begin(self, index: int | None) -> _BegunCall:
        begun = _BegunCall(self._count)
        self._count += 1
        if index is not None:
            self._by_index[index] = begun
        return begun


def _begins_another(begun: _BegunCall, index: int | None, call_id: str, name: str, arguments: str) -> bool:
    if not (name and begun.name):
        return False
    if call_id and begun.call_id:
        return call_id != begun.call_id
    return index is None or (bool(arguments) and begun.is_whole())


def _json(arguments: str | dict[str, object] | None) -> str:
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""
