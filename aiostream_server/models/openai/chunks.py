"""The chunks of an OpenAI-compatible answer: the used fields only, and the numbering of tool calls.

https://platform.openai.com/docs/api-reference/chat-streaming. Every field may be missing or null: some provider omits
each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from autogen_core.models import ChatCompletionTokenLogprob, RequestUsage, TopLogprob

from aiostream_server.models.provider import CallDelta


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # some send the object itself


class ToolCallPiece(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class ProviderDelta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None  # DeepSeek, vLLM, llama.cpp
    reasoning: str | None = None  # Ollama, OpenRouter
    refusal: str | None = None
    tool_calls: list[ToolCallPiece] | None = None


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
    native_finish_reason: str | None = None  # the upstream's own word, from OpenRouter
    logprobs: Logprobs | None = None
    error: Any = None  # OpenRouter and others report a failure of the upstream here


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

_IMPOSSIBLE: Final = -9999.0  # OpenAI's value for a very unlikely token


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
