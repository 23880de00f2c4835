"""The body of one chat-completions request."""

from collections.abc import Mapping
from typing import Any

import msgspec
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from aiostream_server.config.providers import MessageNames
from aiostream_server.models.openai.messages import Wire, wire_messages, without_surrogates
from aiostream_server.models.openai.schema import response_schema
from aiostream_server.models.provider import ModelRequest, ToolChoice


def request_body(model: str, options: Mapping[str, Any], request: ModelRequest, names: MessageNames = "none") -> bytes:
    """`options` are those that the provider takes, the request's own among them.

    Two are the `openai` package's: the fields of `extra_body` become the body's own, `timeout` is none of them.
    """
    body: Wire = {**options, **(options.get("extra_body") or {})}
    for name in ("extra_body", "timeout"):
        body.pop(name, None)
    body |= {"model": model, "messages": wire_messages(request.messages, names), "stream": True}
    if request.tools:
        body["tools"] = [_tool(schema) for schema in request.tools]
        if request.tool_choice != "auto":
            body["tool_choice"] = _tool_choice(request.tool_choice)
    output = request.json_output or body.get("response_format")
    if output is True or isinstance(output, type):  # else what the options say, as they say it
        body["response_format"] = _response_format(output)
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(without_surrogates(body))


def _tool(schema: ToolSchema) -> Wire:
    function: Wire = {
        "name": schema["name"],
        "description": schema.get("description", ""),
        "parameters": schema.get("parameters", {"type": "object", "properties": {}}),
    }
    if schema.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | Wire:
    if choice in ("required", "none"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(output: bool | type[BaseModel]) -> Wire:
    if isinstance(output, bool):
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": response_schema(output)}
