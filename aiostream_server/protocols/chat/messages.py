"""The messages of a chat completion request, typed by role: https://platform.openai.com/docs/api-reference/chat/create

`content` may be a string or a list of parts, and is a list of parts here. A message that is nothing but text becomes a
`PlainMessage` without pydantic, in a tenth of the time: nearly all messages of a long conversation are plain.

What JSON schemas cannot know of the validators stands beside them, for `openapi.json`.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self, TypeAlias, TypeVar

import msgspec
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    InstanceOf,
    PlainValidator,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from aiostream_server.intake.body import Shape
from aiostream_server.intake.data_url import DATA_URL_PATTERN, parse_data_url
from aiostream_server.intake.question import Detail, ImagePart
from aiostream_server.protocols.json_schema import REF, OrText, messages_schema, ref

_T = TypeVar("_T")


class PlainMessage(msgspec.Struct, frozen=True):
    """`{"role": ..., "content": "text"}`, and nothing else."""

    role: Literal["system", "user", "assistant"]
    text: str


def tagged_by(key: str, expected: str) -> Discriminator:
    """Tells a union's members apart by `key`. Tags begin with `#`, so that an error's path tells them from keys."""

    def tag(value: object) -> str | None:
        if isinstance(value, PlainMessage):
            return "plain"  # a client cannot send this tag: the tags of roles begin with `#`
        found = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        return f"#{found}" if isinstance(found, str) else None

    return Discriminator(tag, custom_error_type=f"unknown_{key}", custom_error_message=expected)


class TextPart(Shape):
    type: Literal["text"]
    text: str


class RefusalPart(Shape):
    type: Literal["refusal"]
    refusal: str


_DATA_URL: Final = {"type": "string", "pattern": DATA_URL_PATTERN, "description": "A data URL; nothing is fetched."}


class ImageUrl(Shape):
    url: Annotated[ImagePart, PlainValidator(parse_data_url), WithJsonSchema(_DATA_URL)]
    detail: Detail = "auto"


class ImageUrlPart(Shape):
    type: Literal["image_url"]
    image_url: ImageUrl


_UserPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("#text")] | Annotated[ImageUrlPart, Tag("#image_url")],
    tagged_by("type", "expected 'text' or 'image_url'"),
]
_AssistantPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("#text")] | Annotated[RefusalPart, Tag("#refusal")],
    tagged_by("type", "expected 'text' or 'refusal'"),
]


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    if isinstance(content, (list, tuple)):
        return content
    raise PydanticCustomError("content_type", "expected a string or a list of content parts")


# FailFast: otherwise a list of a million wrong items becomes a million errors.
NonEmpty: TypeAlias = Annotated[tuple[_T, ...], Field(min_length=1, strict=False), FailFast()]
_Content: TypeAlias = Annotated[NonEmpty[_T], BeforeValidator(_as_parts), OrText()]


class CalledFunction(Shape):
    name: str
    arguments: str


class AssistantToolCall(Shape):
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

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["content"], "properties": {"content": {"type": ["string", "array"]}}},
                {"required": ["refusal"], "properties": {"refusal": {"type": "string"}}},
                {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
            ]
        }
    )

    role: Literal["assistant"]
    content: _Content[_AssistantPart] = ()
    refusal: str | None = None
    tool_calls: Annotated[tuple[AssistantToolCall, ...], Field(strict=False), FailFast()] = ()
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
_PLAIN_ROLES: Final = ("system", "user", "assistant")

ChatMessage: TypeAlias = Annotated[
    Annotated[SystemMessage, Tag("#system")]
    | Annotated[SystemMessage, Tag("#developer")]
    | Annotated[UserMessage, Tag("#user")]
    | Annotated[AssistantMessage, Tag("#assistant")]
    | Annotated[ToolMessage, Tag("#tool")]
    | Annotated[InstanceOf[PlainMessage], Tag("plain")],
    tagged_by("role", "expected one of system, developer, user, assistant, tool"),
]


def _plain(message: object) -> PlainMessage | None:
    if type(message) is not dict or len(message) != 2:
        return None
    role, text = message.get("role"), message.get("content")
    return PlainMessage(role, text) if type(text) is str and role in _PLAIN_ROLES else None


def _read(messages: object, validate: ValidatorFunctionWrapHandler) -> tuple[ChatMessage, ...]:
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


MESSAGE_SHAPES: Final[tuple[type[Shape], ...]] = (SystemMessage, UserMessage, AssistantMessage, ToolMessage)
_SHAPE_OF_ROLE: Final = {
    "system": "SystemMessage",
    "developer": "SystemMessage",
    "user": "UserMessage",
    "assistant": "AssistantMessage",
    "tool": "ToolMessage",
}
_MESSAGE_SCHEMA: Final = {
    "oneOf": [ref(shape.__name__) for shape in MESSAGE_SHAPES],
    "discriminator": {
        "propertyName": "role",
        "mapping": {role: REF.format(model=name) for role, name in _SHAPE_OF_ROLE.items()},
    },
}
_JSON_SCHEMA: Final = {
    **messages_schema(_MESSAGE_SCHEMA),
    "description": (
        "At least one is the user's. Where the last one is (system messages aside), it must not be blank. "
        "A tool's message answers a call of the assistant's message before it."
    ),
    "examples": [[{"role": "user", "content": "What is 15% of 850?"}]],
}

Messages: TypeAlias = Annotated[NonEmpty[ChatMessage], WrapValidator(_read), WithJsonSchema(_JSON_SCHEMA)]
