"""OpenAI's chat completion request, as far as this server heeds it; `wire.fields` says what becomes of the rest.

Ignored fields are not even looked at. Ranges are OpenAI's: https://platform.openai.com/docs/api-reference/chat/create
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from aiostream_server.wire.messages import Messages, Shape

_Tokens: TypeAlias = Annotated[int, Field(ge=1)]
_Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2)]
_ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


def _one(n: int) -> int:
    if n != 1:
        raise PydanticCustomError("refused", "one answer is given per request: send 1, or leave it out")
    return n


def _text(form: str) -> str:
    if form != "text":
        raise PydanticCustomError("refused", "only 'text' can be answered: what agents say to each other is not JSON")
    return form


def _texts(modalities: tuple[str, ...]) -> tuple[str, ...]:
    if any(modality != "text" for modality in modalities):
        raise PydanticCustomError("refused", "the answer is text: send ['text'], or leave it out")
    return modalities


def _none(_: object) -> None:
    raise PydanticCustomError("refused", "the answer is text: leave it out")


class StreamOptions(Shape):
    include_usage: bool = False


class ResponseFormat(Shape):
    type: Annotated[str, AfterValidator(_text)]


class ChatRequest(Shape):
    """A request that can be answered. Types are strict: no string is a number, no number a boolean."""

    model: Annotated[str, Field(min_length=1)]
    messages: Messages
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[int, AfterValidator(_one)] = 1
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    reasoning_effort: _ReasoningEffort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    response_format: ResponseFormat | None = None
    modalities: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_texts)] = ("text",)
    audio: Annotated[object, AfterValidator(_none)] = None

    @property
    def output_bound(self) -> int | None:
        """How many tokens the whole run may write; None where the client does not say."""
        bounds = [bound for bound in (self.max_tokens, self.max_completion_tokens) if bound is not None]
        return min(bounds, default=None)
