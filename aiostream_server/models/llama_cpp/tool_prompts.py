"""Prompts and the reply schema for a model that calls tools without support in its chat template.

The reply is one JSON object: llama.cpp turns the schema into a grammar that allows no other token. The instructions
were tried on a model of 135 million parameters. Many chat templates are strict (one system message at the start, roles
in turn, no other messages), so messages of one role are merged and calls become text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any, Final, TypeAlias

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from aiostream_server.models.openai.output_formats import response_schema
from aiostream_server.models.provider import ModelRequest, ToolChoice

_Schema: TypeAlias = dict[str, Any]
_Json: TypeAlias = Any  # an unchecked JSON value of a schema

_CALL: Final = '{"tool": "NAME", "arguments": {...}}'
# Not patterns, formats and lengths: a grammar of them may be too large, and AutoGen checks the arguments.
# Not titles: pydantic repeats the names in them.
_KEPT: Final = (
    *("type", "description", "default", "enum", "const", "required", "minimum", "maximum"),
    *("properties", "items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf"),
)


def instructions(request: ModelRequest) -> str:
    """The end of the system message."""
    tools = _offered(request.tools, request.tool_choice)
    text = f"You reply in JSON. To call a tool, write {_CALL}."
    if request.tool_choice == "auto":
        text += ' When no tool is needed, or its result is there, write {"answer": "TEXT"}.'
    return "\n".join((text, "", "The tools:", *map(_line, tools)))


def reply_format(request: ModelRequest) -> _Schema:
    """The request's `response_format`."""
    replies = [_call(tool) for tool in _offered(request.tools, request.tool_choice)]
    if request.tool_choice == "auto":
        replies.append(_object({"answer": _answer(request.json_output)}))
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"anyOf": replies}}}


def _offered(tools: Sequence[ToolSchema], choice: ToolChoice) -> Sequence[ToolSchema]:
    if choice in ("auto", "required"):
        return tools
    return [tool for tool in tools if tool["name"] == choice]


def _line(tool: ToolSchema) -> str:
    told = {
        "tool": tool["name"],
        "description": tool.get("description", ""),
        "arguments": _parameters(tool)["properties"],
    }
    return json.dumps(told, ensure_ascii=False)


def _call(tool: ToolSchema) -> _Schema:
    return _object({"tool": {"const": tool["name"]}, "arguments": _parameters(tool)})


def _parameters(tool: ToolSchema) -> _Schema:
    parameters: Mapping[str, Any] = tool.get("parameters") or {"type": "object", "properties": {}}
    inlined: _Schema = _inlined(parameters, parameters)
    return inlined


def _answer(output: bool | type[BaseModel]) -> _Schema:
    if isinstance(output, bool):
        return {"type": "object"} if output else {"type": "string"}
    schema = response_schema(output)["schema"]
    answer: _Schema = _inlined(schema, schema)
    return answer


def _object(properties: _Schema) -> _Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _inlined(node: _Json, root: Mapping[str, Any], within: tuple[str, ...] = ()) -> _Json:
    """The schema with each `$ref` replaced by its target, to nest it in another; a recursive type allows any value."""
    if isinstance(node, list):
        return [_inlined(item, root, within) for item in node]
    if not isinstance(node, Mapping):
        return node
    if "$ref" in node:
        target = str(node["$ref"])
        return {} if target in within else _inlined(_found(target, root), root, (*within, target))
    return {key: _member(key, value, root, within) for key, value in node.items() if key in _KEPT}


def _member(key: str, value: _Json, root: Mapping[str, Any], within: tuple[str, ...]) -> _Json:
    if key == "properties":  # names, not keywords
        return {name: _inlined(schema, root, within) for name, schema in value.items()}
    return value if key in ("enum", "const", "default", "required") else _inlined(value, root, within)


def _found(target: str, root: Mapping[str, Any]) -> _Json:
    node: _Json = root
    for part in target.removeprefix("#").split("/")[1:]:
        node = node.get(part, {}) if isinstance(node, Mapping) else {}
    return node


_USE_RESULT: Final = "Answer with this result."
_NO_SPEAKERS: Final = frozenset({"system", "tools"})


def in_turn(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """Merge messages of one role, with who said what; a later system message becomes a user's."""
    leading = len(list(takewhile(_is_system, messages)))
    turns: list[LLMMessage] = list(messages[:leading])
    for kind, group in groupby(map(_without_later_system, messages[leading:]), _kind):
        alike = list(group)
        if len(alike) == 1 or kind not in (UserMessage, str):
            turns += alike
        elif kind is UserMessage:
            turns.append(_merged_users([message for message in alike if isinstance(message, UserMessage)]))
        else:
            said = [message for message in alike if isinstance(message, AssistantMessage)]
            text = "\n\n".join(str(message.content) for message in said)
            turns.append(AssistantMessage(content=text, source=said[-1].source))
    return turns


def _kind(message: LLMMessage) -> type:
    """Messages of one kind are merged: users', and assistants' texts (`str`)."""
    return str if isinstance(message, AssistantMessage) and isinstance(message.content, str) else type(message)


def _merged_users(messages: Sequence[UserMessage]) -> UserMessage:
    sources = {message.source for message in messages} - _NO_SPEAKERS
    texts = [
        f"{message.source} said:\n{_text(message)}"
        if len(sources) > 1 and message.source in sources
        else _text(message)
        for message in messages
    ]
    return UserMessage(content="\n\n".join(texts), source=messages[-1].source)


def as_replies(messages: Sequence[LLMMessage], instructions: str) -> list[LLMMessage]:
    """Write the model's earlier messages as JSON, for a model that replies in JSON."""
    leading = [str(message.content) for message in takewhile(_is_system, messages)]
    system: LLMMessage = SystemMessage(content="\n\n".join((*leading, instructions)))
    return in_turn([system, *map(_as_reply, messages[len(leading) :])])


def without_calls(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """Write calls and their results as the model's own messages, for a model that answers in words."""
    said = list(_told(messages))
    if messages and isinstance(messages[-1], FunctionExecutionResultMessage):
        said.append(UserMessage(content=_USE_RESULT, source="user"))
    return in_turn(said)


def _as_reply(message: LLMMessage) -> LLMMessage:
    match message:
        case AssistantMessage(content=str() as text):
            return AssistantMessage(content=json.dumps({"answer": text}, ensure_ascii=False), source=message.source)
        case AssistantMessage(content=list() as calls):
            return AssistantMessage(content="\n".join(map(_call_text, calls)), source=message.source)
        case FunctionExecutionResultMessage():
            results = (f"Result of {result.name}: {result.content}" for result in message.content)
            return UserMessage(content="\n".join(results), source="tools")
        case _:
            return message


def _told(messages: Sequence[LLMMessage]) -> Iterator[LLMMessage]:
    calls: dict[str, FunctionCall] = {}
    for message in messages:
        match message:
            case AssistantMessage(content=list() as called):
                calls |= {call.id: call for call in called}
                if message.thought:
                    yield AssistantMessage(content=message.thought, source=message.source)
            case FunctionExecutionResultMessage():
                lines = [
                    f"{result.name}({_arguments(calls.get(result.call_id))}) = {result.content}"
                    for result in message.content
                ]
                yield AssistantMessage(content="\n".join(lines), source="tools")
            case _:
                yield message


def _arguments(call: FunctionCall | None) -> str:
    return call.arguments if call is not None else ""


def _call_text(call: FunctionCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = call.arguments
    return json.dumps({"tool": call.name, "arguments": arguments}, ensure_ascii=False)


def _is_system(message: LLMMessage) -> bool:
    return isinstance(message, SystemMessage)


def _without_later_system(message: LLMMessage) -> LLMMessage:
    return UserMessage(content=message.content, source="system") if isinstance(message, SystemMessage) else message


def _text(message: UserMessage) -> str:
    content = message.content
    return content if isinstance(content, str) else "\n".join(part for part in content if isinstance(part, str))
