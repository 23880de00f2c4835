"""The messages of a chat completion request, typed by role: https://platform.openai.com/docs/api-reference/chat/create

`content` may be a string or a list of parts; here it is parts, but for messages that are nothing but text: nearly all
of a long conversation are, and those are read without pydantic, in a tenth of the time. Null is the same as absent,
everywhere.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self, TypeAlias, TypeVar

import msgspec
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    InstanceOf,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from aiostream_server.wire.data_url import DataUrl, parse_data_url

Detail: TypeAlias = Literal["auto", "low", "high"]
_T = TypeVar("_T")


class Shape(BaseModel):
    """A JSON object. Types are never converted; unknown keys are ignored: clients send more every year."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        if not isinstance(value, dict) or None not in value.values():
            return value
        return {key: item for key, item in value.items() if item is not None}


class PlainMessage(msgspec.Struct, frozen=True):
    """`{"role": ..., "content": "text"}`, and nothing else."""

    role: Literal["system", "user", "assistant"]
    text: str


def _tagged_by(key: str, expected: str) -> Discriminator:
    """A union's members are told apart by `key`; tags begin with `#`, so that an error's path tells them from keys."""

    def tag(value: object) -> str | None:
        if isinstance(value, PlainMessage):
            return "plain"  # no role that a client may send: those begin with `#`
        found = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        return f"#{found}" if isinstance(found, str) else None

    return Discriminator(tag, custom_error_type=f"unknown_{key}", custom_error_message=expected)


class TextPart(Shape):
    type: Literal["text"]
    text: str


class RefusalPart(Shape):
    type: Literal["refusal"]
    refusal: str


class ImageUrl(Shape):
    url: Annotated[InstanceOf[DataUrl], BeforeValidator(parse_data_url)]
    detail: Detail = "auto"


class ImageUrlPart(Shape):
    type: Literal["image_url"]
    image_url: ImageUrl


_UserPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("#text")] | Annotated[ImageUrlPart, Tag("#image_url")],
    _tagged_by("type", "expected 'text' or 'image_url'"),
]
_AssistantPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("#text")] | Annotated[RefusalPart, Tag("#refusal")],
    _tagged_by("type", "expected 'text' or 'refusal'"),
]


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    if isinstance(content, (list, tuple)):
        return content
    raise PydanticCustomError("content_type", "expected a string or a list of content parts")


# A hostile list of millions of wrong items must not become millions of errors: the first one ends it.
NonEmpty: TypeAlias = Annotated[tuple[_T, ...], Field(min_length=1, strict=False), FailFast()]
_Content: TypeAlias = Annotated[NonEmpty[_T], BeforeValidator(_as_parts)]


class CalledFunction(Shape):
    name: str
    arguments: str


class ToolCall(Shape):
    """A call that an earlier assistant message made."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class SystemMessage(Shape):
    """`developer` is OpenAI's newer word for `system`."""

    role: Literal["system", "developer"]
    content: _Content[TextPart]
    name: str | None = None


class UserMessage(Shape):
    role: Literal["user"]
    content: _Content[_UserPart]
    name: str | None = None


class AssistantMessage(Shape):
    """Has content, a refusal, tool calls, or several of these."""

    role: Literal["assistant"]
    content: _Content[_AssistantPart] = ()
    refusal: str | None = None
    tool_calls: Annotated[tuple[ToolCall, ...], Field(strict=False), FailFast()] = ()
    name: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.content and self.refusal is None and not self.tool_calls:
            raise PydanticCustomError("content_missing", "is required where there are no tool_calls")
        return self


class ToolMessage(Shape):
    role: Literal["tool"]
    content: _Content[TextPart]
    tool_call_id: str


Part: TypeAlias = TextPart | ImageUrlPart | RefusalPart
ROLES: Final = ("system", "developer", "user", "assistant", "tool")
_PLAIN_ROLES: Final = ("system", "user", "assistant")

Message: TypeAlias = Annotated[
    Annotated[SystemMessage, Tag("#system")]
    | Annotated[SystemMessage, Tag("#developer")]
    | Annotated[UserMessage, Tag("#user")]
    | Annotated[AssistantMessage, Tag("#assistant")]
    | Annotated[ToolMessage, Tag("#tool")]
    | Annotated[InstanceOf[PlainMessage], Tag("plain")],
    _tagged_by("role", f"expected one of {', '.join(ROLES)}"),
]


def _plain(message: object) -> PlainMessage | None:
    if type(message) is not dict or len(message) != 2:
        return None
    role, text = message.get("role"), message.get("content")
    return PlainMessage(role, text) if type(text) is str and role in _PLAIN_ROLES else None


def _read(messages: object, validate: ValidatorFunctionWrapHandler) -> tuple[Message, ...]:
    """Validate those that are not plain."""
    if not isinstance(messages, list) or not messages:
        return tuple(validate(messages))
    read = [_plain(message) for message in messages]
    others = [message for message, plain in zip(messages, read, strict=True) if plain is None]
    try:
        rest = iter(validate(others) if others else ())
    except ValidationError:
        return tuple(validate(messages))  # the whole list, of which an error's path tells the place
    return tuple(plain or next(rest) for plain in read)


Messages: TypeAlias = Annotated[NonEmpty[Message], WrapValidator(_read)]
