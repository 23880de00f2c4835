"""The body of one chat-completions request."""

from collections.abc import Mapping
from typing import Any

import msgspec
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from aiostream_server.models.openai.messages import Wire, wire_messages, without_surrogates
from aiostream_server.models.openai.schema import response_schema
from aiostream_server.models.provider import ModelRequest, ToolChoice


def request_body(model: str, options: Mapping[str, Any], request: ModelRequest, *, with_usage: bool) -> bytes:
    """`options` are the configured ones; the request's own go before them. `with_usage` asks for the usage chunk."""
    body: Wire = {"stream_options": {"include_usage": True}} if with_usage else {}
    body |= _merged(options, request.options)
    body |= {"model": model, "messages": wire_messages(request.messages), "stream": True}
    if request.tools:
        body["tools"] = [_tool(schema) for schema in request.tools]
        if request.tool_choice != "auto":
            body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.json_output:
        body["response_format"] = _response_format(request.json_output)
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(without_surrogates(body))


def _merged(configured: Mapping[str, Any], requested: Mapping[str, Any]) -> Wire:
    """One bound on the answer's length, under the name that the configuration uses: models know one of the two."""
    merged = {**configured, **requested}
    bounds = [options[key] for options in (requested, configured) for key in _BOUNDS if options.get(key) is not None]
    for key in _BOUNDS:
        merged.pop(key, None)
    if bounds:
        merged["max_completion_tokens" if "max_completion_tokens" in configured else "max_tokens"] = bounds[0]
    return merged


_BOUNDS = ("max_completion_tokens", "max_tokens")


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
