"""The messages of AG-UI, as far as this server reads them: https://docs.ag-ui.com/concepts/messages

Messages of reasoning and activities are what a page shows, and no agent needs.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, FailFast, Field, PlainValidator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from aiostream_server.intake.body import Shape
from aiostream_server.intake.data_url import parse_data_url
from aiostream_server.intake.question import ImagePart
from aiostream_server.protocols.chat.messages import NonEmpty, tagged_by
from aiostream_server.protocols.json_schema import Schema, ref

_BASE64: Final = {"type": "object", "required": ["type", "value", "mimeType"], "properties": {
    "type": {"const": "data"}, "value": {"type": "string", "contentEncoding": "base64"}, "mimeType": {"type": "string"},
}}  # fmt: skip


def _picture(source: object) -> ImagePart:
    match source:
        case ImagePart():
            return source
        case {"type": "data", "value": str() as value, "mimeType": str() as media_type}:
            return parse_data_url(f"data:{media_type};base64,{value}")
        case {"type": "url", "value": str() as url}:
            return parse_data_url(url)
    raise PydanticCustomError("source", "expected {'type': 'data', 'value': base64, 'mimeType': ...}")


class AGUITextPart(Shape):
    type: Literal["text"]
    text: str


class AGUIImagePart(Shape):
    type: Literal["image"]
    source: Annotated[ImagePart, PlainValidator(_picture), WithJsonSchema(_BASE64)]


_Part: TypeAlias = Annotated[
    Annotated[AGUITextPart, Tag("#text")] | Annotated[AGUIImagePart, Tag("#image")],
    tagged_by("type", "expected 'text' or 'image'"),
]


def _as_parts(content: object) -> object:
    return ({"type": "text", "text": content},) if isinstance(content, str) else content


class AGUIFunction(Shape):
    name: str
    arguments: str


class AGUIToolCall(Shape):
    id: str
    function: AGUIFunction


class AGUISystemMessage(Shape):
    id: str = ""
    role: Literal["system", "developer"]
    content: str


_CONTENT: Final[Schema] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"anyOf": [ref("AGUITextPart"), ref("AGUIImagePart")]}},
    ]
}


class AGUIUserMessage(Shape):
    id: str = ""
    role: Literal["user"]
    content: Annotated[NonEmpty[_Part], BeforeValidator(_as_parts), WithJsonSchema(_CONTENT)]


class AGUIAssistantMessage(Shape):
    id: str = ""
    role: Literal["assistant"]
    content: str = ""
    tool_calls: Annotated[tuple[AGUIToolCall, ...], Field(strict=False, alias="toolCalls"), FailFast()] = ()


class AGUIToolMessage(Shape):
    id: str = ""
    role: Literal["tool"]
    content: Any
    tool_call_id: Annotated[str, Field(alias="toolCallId")]
    error: str = ""


class AGUIOtherMessage(Shape):
    id: str = ""
    role: Literal["reasoning", "activity"]


AGUIMessage: TypeAlias = Annotated[
    Annotated[AGUISystemMessage, Tag("#system")]
    | Annotated[AGUISystemMessage, Tag("#developer")]
    | Annotated[AGUIUserMessage, Tag("#user")]
    | Annotated[AGUIAssistantMessage, Tag("#assistant")]
    | Annotated[AGUIToolMessage, Tag("#tool")]
    | Annotated[AGUIOtherMessage, Tag("#reasoning")]
    | Annotated[AGUIOtherMessage, Tag("#activity")],
    tagged_by("role", "expected one of system, developer, user, assistant, tool, reasoning, activity"),
]
MESSAGE_SHAPES: Final[tuple[type[Shape], ...]] = (
    AGUISystemMessage,
    AGUIUserMessage,
    AGUIAssistantMessage,
    AGUIToolMessage,
    AGUIOtherMessage,
)
PART_SHAPES: Final[tuple[type[Shape], ...]] = (AGUITextPart, AGUIImagePart)
MESSAGE_SCHEMA: Final[Schema] = {"oneOf": [ref(shape.__name__) for shape in MESSAGE_SHAPES]}
