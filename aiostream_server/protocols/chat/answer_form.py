"""`response_format`, `tools` and `tool_choice` of a request: the form that the answer must have.

https://platform.openai.com/docs/guides/structured-outputs. A choice that forces a call of one of the tools is
a form, too.
"""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, WithJsonSchema

from aiostream_server.intake.answer_form import AnswerForm, JsonForm, OutputTool, ToolForm
from aiostream_server.intake.body import Shape
from aiostream_server.intake.client_tools import ToolChoice as Choice
from aiostream_server.protocols.chat.client_tools import MOST_TOOLS, function_of, wrong

_FORMATS: Final = ("text", "json_object", "json_schema")
_OPEN: Final = ("auto", "none")
_OBJECT: Final = {"type": "object"}
_TOOL_CHOICE: Final = {
    "anyOf": [{"type": "string", "enum": [*_OPEN, "required"]}, _OBJECT, {"type": "null"}],
    "description": "An object names a function of `tools`, or says which of them are allowed.",
}


class SchemaSpec(Shape):
    """`response_format.json_schema`. `strict` makes no difference: an answer is always compared with the schema."""

    name: str = "answer"
    description: str = ""
    form: Annotated[dict[str, Any] | None, Field(alias="schema"), WithJsonSchema(_OBJECT)] = None
    strict: bool = False


class ResponseFormat(Shape):
    """OpenAI's; and `schema` beside `json_object`, as llama.cpp and Together take it."""

    type: Annotated[str, WithJsonSchema({"enum": [*_FORMATS]})] = "text"
    json_schema: SchemaSpec | None = None
    form: Annotated[dict[str, Any] | None, Field(alias="schema"), WithJsonSchema(_OBJECT)] = None


Tools: TypeAlias = Annotated[Any, WithJsonSchema({"type": "array", "items": _OBJECT})]
ToolChoice: TypeAlias = Annotated[Any, WithJsonSchema(_TOOL_CHOICE)]
FunctionCall: TypeAlias = Annotated[Any, WithJsonSchema({"enum": [*_OPEN]})]


def read_form(form: ResponseFormat | None, tools: Any, choice: Choice, function_call: Any) -> AnswerForm | None:
    """None for text. Raises `InvalidRequest` for a form that cannot be met."""
    if function_call is not None and function_call not in _OPEN:
        raise wrong("function_call", "is out of use: send `tools` and `tool_choice`")
    if choice.is_forced:
        return _tool_form(tools, choice)
    return None if form is None else _json_form(form)


def _json_form(asked: ResponseFormat) -> JsonForm | None:
    from aiostream_server.intake.answer_schema import any_object, read_schema  # takes 0.1 s

    match asked.type:
        case "text":
            return None
        case "json_object" if asked.form is not None:
            return JsonForm(read_schema(asked.form, "response_format.schema"), "answer")
        case "json_object":
            return JsonForm(any_object())
        case "json_schema":
            if (spec := asked.json_schema) is None:
                raise wrong("response_format.json_schema", "is required")
            if spec.form is None:
                return JsonForm(any_object())
            schema = read_schema(spec.form, "response_format.json_schema.schema")
            return JsonForm(schema, spec.name or "answer", spec.description)
    raise wrong("response_format.type", f"expected one of {', '.join(_FORMATS)}, got {asked.type[:40]!r}")


def _tool_form(tools: Any, choice: Choice) -> ToolForm:
    if not isinstance(tools, list) or not tools:
        raise wrong("tool_choice", "forces a call of a tool, and the request has no `tools`")
    if len(tools) > MOST_TOOLS:
        raise wrong("tools", f"there are more than {MOST_TOOLS}")
    offered = [_output_tool(tool, index) for index, tool in enumerate(tools)]
    known = {tool.name: tool for tool in offered}
    if len(known) < len(offered):
        raise wrong("tools", "two have the same name")
    for name in choice.names:
        if name not in known:
            raise wrong("tool_choice", f"there is no function {name[:80]!r} in `tools`")
    return ToolForm([known[name] for name in choice.names or known], choice.mode == "named")


def _output_tool(tool: Any, index: int) -> OutputTool:
    from aiostream_server.intake.answer_schema import any_object, read_schema  # takes 0.1 s

    field = f"tools[{index}]"
    function = function_of(tool, field)
    description, parameters = function.get("description"), function.get("parameters")
    schema = any_object() if parameters is None else read_schema(parameters, f"{field}.function.parameters")
    return OutputTool(function["name"], description if isinstance(description, str) else "", schema)
