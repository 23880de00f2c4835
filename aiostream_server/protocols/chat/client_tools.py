"""`tools`, `tool_choice` and `parallel_tool_calls` of a request: the client's own tools.

https://platform.openai.com/docs/guides/function-calling. Tools of other types than `function` are ignored: no agent can
call them.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.client_tools import ClientTool, ToolChoice, ToolMode
from aiostream_server.intake.json_text import dump

MOST_TOOLS: Final = 128
_MOST_BYTES: Final = 512 * 1024
_Choice: TypeAlias = tuple[ToolMode, tuple[str, ...]]
_KINDS: Final[Mapping[str, tuple[type, str]]] = {
    "description": (str, "a string"),
    "parameters": (dict, "a JSON schema"),
    "strict": (bool, "true or false"),
}


def read_client_tools(tools: Any) -> tuple[ClientTool, ...]:
    """Raises `InvalidRequest` for a function without a name or of a wrong type, and for too many or too long ones."""
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise wrong("tools", "expected a list")
    read = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    found = [tool for tool in read if tool is not None]
    if len({tool.name for tool in found}) < len(found):
        raise wrong("tools", "two have the same name")
    if len(found) > MOST_TOOLS:
        raise wrong("tools", f"there are more than {MOST_TOOLS}")
    if sum(len(dump(tool.parameters)) for tool in found) > _MOST_BYTES:
        raise wrong("tools", f"the schemas of all together have more than {_MOST_BYTES // 1024} KiB of JSON")
    return tuple(found)


def read_tool_choice(choice: Any, parallel: bool | None = None) -> ToolChoice:
    """Raises `InvalidRequest` for a choice that is none of OpenAI's."""
    mode, names = _choice(choice)
    return ToolChoice(mode, names, is_parallel=parallel is not False)


def function_of(tool: Any, field: str) -> Mapping[str, Any]:
    """What `tool` says of its function. Raises `InvalidRequest` if it is none."""
    match tool:
        case {"type": "function", "function": {"name": str() as name} as function} if name:
            found: Mapping[str, Any] = function
            return found
    raise wrong(field, "expected {'type': 'function', 'function': {'name': ...}}")


def wrong(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {problem}", param=field)


def _tool(tool: Any, field: str) -> ClientTool | None:
    if isinstance(tool, dict) and tool.get("type") != "function":
        return None
    function = function_of(tool, field)
    for name, (kind, expected) in _KINDS.items():
        if not isinstance(function.get(name), kind | None):
            raise wrong(f"{field}.function.{name}", f"expected {expected}")
    described, parameters = function.get("description") or "", function.get("parameters")
    return ClientTool(function["name"], described, parameters, function.get("strict"))


def _choice(choice: Any) -> _Choice:
    match choice:
        case None | "auto":
            return "auto", ()
        case "none":
            return "none", ()
        case "required" | "any":  # the latter is Mistral's word for it
            return "required", ()
        case {"type": "function", "function": {"name": str() as name}} | {"type": "tool", "name": str() as name}:
            return "named", (name,)
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list() as allowed},
        }:
            names = [function_of(tool, "tool_choice.allowed_tools.tools")["name"] for tool in allowed]
            return mode, tuple(names)
        case {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}:
            return "auto", ()
    raise wrong("tool_choice", "expected 'none', 'auto', 'required', or a function of `tools` by its name")
