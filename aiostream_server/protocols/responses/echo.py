"""The fields of a request that its response repeats, with the defaults of OpenAI's."""

from typing import Any, Final

from aiostream_server.protocols.chat.client_tools import function_of
from aiostream_server.protocols.responses.request import ResponsesRequest, TextFormat

_FUNCTION: Final = ("name", "description", "parameters", "strict")


def echo_of(request: ResponsesRequest) -> dict[str, Any]:
    """Strings of optional settings stay null where they are absent. Tools that no agent can call are left out."""
    named = {} if request.conversation is None else {"conversation": {"id": request.conversation.id}}
    return {
        "background": request.background,
        **named,
        "frequency_penalty": 0.0,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "parallel_tool_calls": request.parallel_tool_calls,
        "presence_penalty": 0.0,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {"effort": request.reasoning.effort, "summary": "auto"},
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": request.store,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": _format(request.text.format), "verbosity": request.text.verbosity or "medium"},
        "tool_choice": request.tool_choice or "auto",
        "tools": _tools(request.nested_tools),
        "top_logprobs": 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation,
    }


def _format(wanted: TextFormat) -> dict[str, Any]:
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    schema = {"name": wanted.name, "description": wanted.description or None, "schema": wanted.form or {}}
    return {"type": "json_schema", **schema, "strict": wanted.strict}


def _tools(tools: Any) -> list[dict[str, Any]]:
    functions = [function_of(tool, "tools") for tool in tools or () if tool.get("type") == "function"]
    return [{"type": "function", **{key: tool.get(key) for key in _FUNCTION}} for tool in functions]
