"""The input of a Responses request, item by item: https://platform.openai.com/docs/api-reference/responses/create

Items are what was said: messages, and calls of the client's tools with their outputs. A team's own calls, which Open
WebUI sends back, are left out; so are reasoning, and what tools of OpenAI's did.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Discriminator,
    FailFast,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from aiostream_server.intake.body import Shape
from aiostream_server.intake.data_url import DATA_URL_PATTERN, parse_data_url
from aiostream_server.intake.question import Detail, ImagePart
from aiostream_server.protocols.json_schema import OrText

_TEXTS: Final = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_IGNORED: Final = (
    "reasoning",
    "compaction",
    "web_search_call",
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "custom_tool_call",
    "custom_tool_call_output",
    "tool_search_call",
    "tool_search_output",
)
_DATA_URL: Final = {"type": "string", "pattern": DATA_URL_PATTERN, "description": "A data URL; nothing is fetched."}


def _detail(value: object) -> object:
    return value if value in ("low", "high") else "auto"


class InputText(Shape):
    """`output_text` is that of an earlier answer."""

    type: Annotated[str, WithJsonSchema({"enum": [*_TEXTS]})]
    text: str


class InputRefusal(Shape):
    type: Literal["refusal"]
    refusal: str


class InputImage(Shape):
    type: Literal["input_image"]
    image_url: Annotated[ImagePart, PlainValidator(parse_data_url), WithJsonSchema(_DATA_URL)]
    detail: Annotated[Detail, BeforeValidator(_detail), WithJsonSchema({"type": "string"})] = "auto"


def _tagged(tag_of: Callable[[Mapping[str, Any]], object], kinds: Mapping[str, str], expected: str) -> Discriminator:
    """Tells a union's members apart by the kind of a JSON object. Tags begin with `#`."""

    def tag(value: object) -> str | None:
        found = tag_of(value) if isinstance(value, Mapping) else getattr(value, "type", None)
        return f"#{kinds[found]}" if isinstance(found, str) and found in kinds else None

    return Discriminator(tag, custom_error_type="unknown_type", custom_error_message=expected)


InputPart: TypeAlias = Annotated[
    Annotated[InputText, Tag("#text")]
    | Annotated[InputImage, Tag("#image")]
    | Annotated[InputRefusal, Tag("#refusal")],
    _tagged(
        lambda part: part.get("type"),
        {**dict.fromkeys(_TEXTS, "text"), "input_image": "image", "refusal": "refusal"},
        "expected 'input_text', 'output_text', 'input_image' or 'refusal': send the text of files, not files",
    ),
]


def _as_parts(content: object) -> object:
    if isinstance(content, str):
        return ({"type": "input_text", "text": content},)
    if isinstance(content, (list, tuple)):
        return content
    raise PydanticCustomError("content_type", "expected a string or a list of content parts")


_Content: TypeAlias = Annotated[
    tuple[InputPart, ...], Field(strict=False), FailFast(), BeforeValidator(_as_parts), OrText()
]


class InputMessage(Shape):
    """`type` may be left out. `developer` is OpenAI's newer word for `system`."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: _Content


class InputCall(Shape):
    """A call that an earlier answer made of one of the client's tools."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class InputCallOutput(Shape):
    """Its result."""

    type: Literal["function_call_output"]
    call_id: str
    output: _Content


class ItemReference(Shape):
    """An item of an earlier response, by its id: what follows it continues that response. `type` may be left out."""

    type: Literal["item_reference"] = "item_reference"
    id: str


class IgnoredItem(Shape):
    type: Annotated[str, WithJsonSchema({"enum": [*_IGNORED]})]


def _kind_of(item: Mapping[str, Any]) -> object:
    kind = item.get("type")
    return kind if kind is not None else "message" if "role" in item or "id" not in item else "item_reference"


_ITEM_KINDS: Final = {
    "message": "message",
    "function_call": "call",
    "function_call_output": "output",
    "item_reference": "reference",
    **dict.fromkeys(_IGNORED, "ignored"),
}
InputItem: TypeAlias = Annotated[
    Annotated[InputMessage, Tag("#message")]
    | Annotated[InputCall, Tag("#call")]
    | Annotated[InputCallOutput, Tag("#output")]
    | Annotated[ItemReference, Tag("#reference")]
    | Annotated[IgnoredItem, Tag("#ignored")],
    _tagged(_kind_of, _ITEM_KINDS, "expected 'message', 'function_call', 'function_call_output' or 'item_reference'"),
]
INPUT_SHAPES: Final[tuple[type[Shape], ...]] = (
    InputMessage,
    InputCall,
    InputCallOutput,
    ItemReference,
    IgnoredItem,
)
Items: TypeAlias = Annotated[tuple[InputItem, ...], Field(min_length=1, strict=False), FailFast()]
