"""How a model's answer ended, and what the next agent is told of one that is not whole.

AutoGen passes an agent's answer on as text alone, so the next agent would take half an answer for a whole one. In a
run the text therefore ends with a remark; the run takes it off again before it shows the answer (`without_remark`).
"""

from typing import Final, Literal, TypeAlias, get_args

from autogen_core.models import FinishReasons

EndReason: TypeAlias = Literal["stop", "length", "function_calls", "content_filter", "refusal", "unknown"]
"""AutoGen's reasons, and `refusal`. `unknown`: the provider gave none, or one that has no meaning here."""

_CUT: Final = "[This answer is not complete: it reached the model's token limit.]"
_FILTERED: Final = "[This answer is not complete: the provider's content filter withheld the rest.]"
_REMARKS: Final = (f"\n\n{_CUT}", f"\n\n{_FILTERED}")
_WITHHELD: Final = "[The provider's content filter withheld the answer.]"
_REFUSED: Final = "[The model refused to answer.]"
_EMPTY_CUT: Final = "[No answer: it reached the model's token limit before its first word.]"


def autogen_reason(reason: EndReason) -> FinishReasons:
    """AutoGen knows no refusal: OpenAI reports one as `stop`."""
    return "stop" if reason == "refusal" else reason


def marked(text: str, reason: EndReason) -> str:
    """The answer's text as other agents should read it: unchanged if it is whole."""
    if reason == "length":
        return text + _REMARKS[0] if text.strip() else _EMPTY_CUT
    if reason == "content_filter":
        return text + _REMARKS[1] if text.strip() else _WITHHELD
    if reason == "refusal" and not text.strip():
        return _REFUSED
    return text


def without_remark(text: str) -> str:
    """The text before `marked` added to it. A remark that is all of the answer stays: users read it, too."""
    for remark in _REMARKS:
        if text.endswith(remark):
            return text.removesuffix(remark)
    return text


def why_broken(reason: EndReason) -> str | None:
    """Why an answer is not the JSON that was asked for, if its end says that."""
    return {
        "length": "it reached its token limit",
        "content_filter": "the provider's content filter withheld it",
        "refusal": "it refused",
    }.get(reason)


def in_words(reason: EndReason, native: str) -> str | None:
    """What a user reads of an answer that has text; None for a usual end."""
    match reason:
        case "length":
            return "reached the model's token limit: the answer is cut off"
        case "content_filter":
            return "was cut off by the provider's content filter"
        case "unknown" if native:
            return f'ended with the reason "{native}"'
    return None


if {*get_args(FinishReasons)} - {*get_args(EndReason)}:
    raise TypeError("AutoGen has a finish reason that EndReason lacks")
