"""The ways to ask a model for an answer in a form: by a tool, by the option `response_format`, or in words alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from autogen_core.tools import ToolSchema

from aiostream_server.intake.answer_form import AnswerForm, JsonForm, ToolForm
from aiostream_server.models.client import StreamingClient

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS: Final = 64
_ALONE: Final = "Write the JSON alone, without words around it and without a code fence."


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask a model for a form. `is_streamed`: the provider sees to it that what it sends fits."""

    request: str
    is_streamed: bool = False
    json_output: bool = False
    response_format: Mapping[str, Any] | None = None
    tools: Sequence[ToolSchema] = ()


def ways_to_ask(form: AnswerForm, client: StreamingClient) -> list[Way]:
    """The ways that this model may take, the best first."""
    info = client.model_info
    match form:
        case ToolForm(tools=tools):
            schemas = [_tool_schema(tool.name, tool.description, tool.parameters.schema) for tool in tools]
            names = " or ".join(f"`{tool.name}`" for tool in tools)
            calling = [Way(f"Call the tool {names} with what this answer says.", tools=schemas)]
            told = [Way(_told_tools(form), json_output=info["json_output"])]
            return [*(calling if info["function_calling"] else ()), *told]
        case JsonForm():
            schema, request = form.schema, _told_schema(form)
            told = [Way(request, json_output=info["json_output"] and schema.is_of_objects)]
            if not client.takes_schemas:
                return told
            is_sure = schema.is_strict or not form.name
            return [Way(request, is_streamed=is_sure, response_format=_response_format(form)), *told]


def _told_schema(form: JsonForm) -> str:
    if not form.name:
        return f"Give this answer as one JSON object, in the form that was asked for above if one was. {_ALONE}"
    described = f" ({form.description})" if form.description else ""
    return f"Give this answer as JSON that fits this JSON schema{described}:\n\n{form.schema.text}\n\n{_ALONE}"


def _told_tools(form: ToolForm) -> str:
    tools = "\n\n".join(f"{tool.name}: {tool.description}\n{tool.parameters.text}" for tool in form.tools)
    if len(form.tools) == 1:
        return (
            f"Give this answer as the arguments of this function, as JSON that fits its schema:\n\n{tools}\n\n{_ALONE}"
        )
    wanted = '{"tool": the name, "arguments": {...}}'
    return f"Give this answer as a call of one of these functions, as {wanted}:\n\n{tools}\n\n{_ALONE}"


def _response_format(form: JsonForm) -> Mapping[str, Any]:
    if not form.name:
        return {"type": "json_object"}
    name = _NOT_IN_A_NAME.sub("_", form.name)[:_MAX_NAME_CHARS]
    spec = {"name": name, "strict": form.schema.is_strict, "schema": form.schema.schema}
    if form.description:
        spec["description"] = form.description
    return {"type": "json_schema", "json_schema": spec}


def _tool_schema(name: str, description: str, parameters: Mapping[str, Any]) -> ToolSchema:
    return cast("ToolSchema", {"name": name, "description": description, "parameters": parameters})
