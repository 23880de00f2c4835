"""What OpenAI refuses of tools and their messages, as far as this server could get it wrong."""

import re
from collections.abc import Mapping
from typing import Any, Final

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def why_refused(body: Mapping[str, Any]) -> str | None:
    """One line, or None for a request that OpenAI takes."""
    return _wrong_messages(body["messages"]) or _wrong_tools(body)


def _wrong_messages(messages: list[dict[str, Any]]) -> str | None:
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                return f"messages[{index}]: 'tool' must be a response to a preceding message with 'tool_calls'"
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            return f"messages[{index}]: tool_call_ids did not have response messages: {', '.join(waiting)}"
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        if len({*waiting}) < len(waiting):
            return f"messages[{index}]: duplicate tool_call_ids"
    return f"tool_call_ids did not have response messages: {', '.join(waiting)}" if waiting else None


def _wrong_tools(body: Mapping[str, Any]) -> str | None:
    tools = [tool["function"] for tool in body.get("tools", ())]
    names = [tool["name"] for tool in tools]
    if "tools" in body and not tools:
        return "tools: [] is too short"
    if not tools and {"tool_choice", "parallel_tool_calls"} & body.keys():
        return "tool_choice and parallel_tool_calls are only allowed when tools are specified"
    if len({*names}) < len(names) or not all(map(_NAME.fullmatch, names)):
        return f"tools: wrong or duplicate names: {names}"
    if any(tool.get("parameters", {"type": "object"}).get("type") != "object" for tool in tools):
        return "tools: parameters must be an object"
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        return f"tool_choice: {choice} is not in tools"
    return None
