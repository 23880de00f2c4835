"""Reads how a provider says that its answer ended: each has its own words for the same few reasons.

OpenAI's are stop, length, tool_calls, content_filter. Gateways pass on others: Anthropic's `max_tokens` and `refusal`,
Gemini's `SAFETY` and `MALFORMED_FUNCTION_CALL` (its OpenAI side writes `content_filter: SAFETY`), Mistral's
`model_length`, DeepSeek's `insufficient_system_resource`, Zhipu's `sensitive`, vLLM's `abort`, Cohere's `ERROR_TOXIC`.
An unknown word is read by its parts, and else kept as it is.
"""

import re
from typing import Final, Literal, NamedTuple, TypeAlias

from aiostream_server.models.ending import EndReason
from aiostream_server.text import one_line

_Meaning: TypeAlias = EndReason | Literal["error"]

_ABSENT: Final = frozenset({"", "null", "none", "unspecified", "finish_reason_unspecified"})
_MEANINGS: Final[dict[str, _Meaning]] = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "end"), "stop"),
    **dict.fromkeys(("length", "limit", "error_limit", "incomplete"), "length"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"), "function_calls"),
    **dict.fromkeys(
        ("safety", "recitation", "blocklist", "spii", "sensitive", "error_toxic", "flagged"), "content_filter"
    ),
    **dict.fromkeys(("refusal", "refused"), "refusal"),
    **dict.fromkeys(("abort", "aborted", "failed", "timeout", "time_limit", "cancelled", "canceled"), "error"),
    "missing_thought_signature": "error",
}
_PARTS: Final[tuple[tuple[re.Pattern[str], _Meaning], ...]] = (
    (re.compile(r"malformed|unexpected_tool|too_many_tool|function_call_filter|insufficient|overload"), "error"),
    (
        re.compile(r"filter|safety|prohibited|guardrail|moderation|block|sensitive|toxic|policy|recitation"),
        "content_filter",
    ),
    (re.compile(r"length|max_.*token|token_limit|context_window"), "length"),
    (re.compile(r"refus"), "refusal"),
    (re.compile(r"error|cancel|abort|time_?out|fail"), "error"),
    (re.compile(r"tool_|function_"), "function_calls"),
)
_MAX_WORD_CHARS: Final = 64


class Ending(NamedTuple):
    """`reason` is None if the answer is broken; `native` is the provider's own word, or empty for a usual end."""

    reason: EndReason | None
    native: str = ""


def is_said(word: str | None) -> bool:
    """Whether the word is a reason at all: some send "null" as text until the answer ends."""
    return word is not None and _normal(word) not in _ABSENT


def ending(said: str | None, native: str | None, *, refused: bool = False) -> Ending:
    """From `finish_reason`, and from the upstream's own reason where a gateway adds it.

    Gateways report some upstream failures as `stop`, so the upstream's reason counts where it says more. `refused`: the
    answer came as a refusal.
    """
    meaning, word = _meaning(said), said
    if meaning in ("stop", "unknown") and (upstream := _meaning(native)) not in ("stop", "unknown", "function_calls"):
        meaning, word = upstream, native
    elif meaning == "unknown" and not is_said(said) and is_said(native):
        meaning, word = _meaning(native), native
    if meaning == "error" and is_said(native):
        word = native
    shown = one_line(word or "", _MAX_WORD_CHARS) if is_said(word) else ""
    if meaning == "error":
        return Ending(None, shown)
    if refused and meaning != "length":
        return Ending("refusal", shown if meaning == "content_filter" else "")
    return Ending(meaning, shown if meaning == "unknown" or (meaning == "content_filter" and shown != meaning) else "")


def _meaning(word: str | None) -> _Meaning:
    normal = _normal(word or "")
    if normal in _ABSENT:
        return "unknown"
    if (known := _MEANINGS.get(normal)) is not None:
        return known
    return next((meaning for pattern, meaning in _PARTS if pattern.search(normal)), "unknown")


def _normal(word: str) -> str:
    if word in _MEANINGS:
        return word
    return re.sub(r"[^a-z]+", "_", word.strip().lower()).strip("_").removeprefix("finish_reason_")
