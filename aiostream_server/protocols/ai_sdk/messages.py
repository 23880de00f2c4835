"""The messages of the AI SDK's pages, `UIMessage`s, as far as this server reads them.

https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message. Parts of other types (reasoning, data, sources, steps) are
what a page shows and no agent needs. What JSON schemas cannot know of the validators stands beside them, for
`openapi.json`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import Discriminator, FailFast, Field, PlainValidator, Tag, WithJsonSchema

from aiostream_server.intake.body import Shape
from aiostream_server.intake.data_url import DATA_URL_PATTERN, parse_data_url
from aiostream_server.intake.question import ImagePart
from aiostream_server.protocols.chat.messages import tagged_by
from aiostream_server.protocols.json_schema import Schema, ref

_PICTURE: Final = {"type": "string", "pattern": DATA_URL_PATTERN, "description": "A data URL; nothing is fetched."}
_TOOL_TYPE: Final = "^(dynamic-tool$|tool-)"


class UITextPart(Shape):
    type: Literal["text"]
    text: str


class UIFilePart(Shape):
    """A picture. Its `mediaType` is not read: the bytes say what they are."""

    type: Literal["file"]
    url: Annotated[ImagePart, PlainValidator(parse_data_url), WithJsonSchema(_PICTURE)]


class UIApproval(Shape):
    """`approved` is absent until the user has answered."""

    id: str = ""
    approved: bool | None = None
    reason: str | None = None


class UIToolPart(Shape):
    """A call of a tool. `type` is `tool-NAME`, or `dynamic-tool` beside a `toolName`."""

    type: Annotated[str, Field(pattern=_TOOL_TYPE)]
    tool_call_id: Annotated[str, Field(alias="toolCallId")]
    tool_name: Annotated[str, Field(alias="toolName")] = ""
    state: str = ""
    input: Any = None
    output: Any = None
    error_text: Annotated[str, Field(alias="errorText")] = ""
    provider_executed: Annotated[bool, Field(alias="providerExecuted")] = False
    approval: UIApproval | None = None

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.tool_name if self.type == "dynamic-tool" else self.type.removeprefix("tool-")


class UIClientTool(Shape):
    """A tool that the page runs. `parameters` is the JSON schema of its arguments."""

    description: str = ""
    parameters: dict[str, Any] | None = None


class OtherPart(Shape):
    type: str


def _of_type(*types: str) -> Discriminator:
    """Tells parts apart. Parts of other types may hold anything."""

    def tag(part: object) -> str:
        found = part.get("type") if isinstance(part, Mapping) else getattr(part, "type", None)
        kind = "tool" if isinstance(found, str) and re.match(_TOOL_TYPE, found) else found
        return f"#{kind}" if kind in types else "#other"

    return Discriminator(tag)


def _parts_schema(others: Schema, *known: type[Shape]) -> WithJsonSchema:
    """`others` says what the type of any other part is not."""
    other = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string", "not": others}}}
    return WithJsonSchema({"type": "array", "items": {"anyOf": [*(ref(shape.__name__) for shape in known), other]}})


_Part = TypeVar("_Part")
_Parts: TypeAlias = Annotated[tuple[_Part, ...], Field(strict=False), FailFast()]
_Text: TypeAlias = Annotated[UITextPart, Tag("#text")]
_File: TypeAlias = Annotated[UIFilePart, Tag("#file")]
_Tool: TypeAlias = Annotated[UIToolPart, Tag("#tool")]
_Other: TypeAlias = Annotated[OtherPart, Tag("#other")]
_OfSystem: TypeAlias = Annotated[_Text | _Other, _of_type("text")]
_OfUser: TypeAlias = Annotated[_Text | _File | _Other, _of_type("text", "file")]
_OfAssistant: TypeAlias = Annotated[_Text | _Tool | _Other, _of_type("text", "tool")]


class UISystemMessage(Shape):
    role: Literal["system"]
    parts: Annotated[_Parts[_OfSystem], _parts_schema({"const": "text"}, UITextPart)]


class UIUserMessage(Shape):
    role: Literal["user"]
    parts: Annotated[_Parts[_OfUser], _parts_schema({"enum": ["text", "file"]}, UITextPart, UIFilePart)]


class UIAssistantMessage(Shape):
    id: str = ""
    role: Literal["assistant"]
    parts: Annotated[_Parts[_OfAssistant], _parts_schema({"pattern": f"^text$|{_TOOL_TYPE}"}, UITextPart, UIToolPart)]


UIMessage: TypeAlias = Annotated[
    Annotated[UISystemMessage, Tag("#system")]
    | Annotated[UIUserMessage, Tag("#user")]
    | Annotated[UIAssistantMessage, Tag("#assistant")],
    tagged_by("role", "expected one of system, user, assistant"),
]
MESSAGE_SHAPES: Final[tuple[type[Shape], ...]] = (
    UISystemMessage,
    UIUserMessage,
    UIAssistantMessage,
    UITextPart,
    UIFilePart,
    UIToolPart,
)
UI_MESSAGE_SCHEMA: Final[Schema] = {"oneOf": [ref(shape.__name__) for shape in MESSAGE_SHAPES[:3]]}
