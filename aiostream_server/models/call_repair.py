"""Makes a tool call regular where it enters: its name one of the offered tools', its arguments a JSON object.

* gpt-oss leaves marks of its channels in names: `functions.query<|channel|>commentary`, `assistant<|channel|>analysis`
  (ollama/ollama#11704). Others change the case, or write `-` for `_`.
* Arguments come as `null` or `""` for tools without parameters (vllm-project/vllm#43851, microsoft/autogen#5666), as a
  string of JSON, in a fence, or with an empty object before them.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from autogen_core.tools import ToolSchema

from aiostream_server.models.json_in_text import json_object

UNNAMED: Final = "unnamed"
_RECIPIENT: Final = re.compile(r"\bto=([\w.:-]+)")
_MARK: Final = re.compile(r"<\||\s")
_NUMBER: Final = re.compile(r":\d+\Z")
_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]+")
_MAX_NAME: Final = 64  # characters; OpenAI takes no longer one back


def regular_name(name: str, tools: Sequence[ToolSchema]) -> str:
    """The name of the tool that `name` means; else `name` as providers take it back."""
    names = [tool["name"] for tool in tools]
    if name in names:
        return name
    recipient = _RECIPIENT.search(name)
    bare = _NUMBER.sub("", _MARK.split(recipient[1] if recipient else name.strip(), maxsplit=1)[0])
    last = re.split(r"[./:]", bare)[-1]
    for written in (name, bare, last):
        for spelled in (str, str.casefold, _letters):
            if (found := _only(names, written, spelled)) is not None:
                return found
    if len(names) == 1 and (not last or "<|" in name):
        return names[0]
    return _NOT_IN_A_NAME.sub("_", last or bare or name).strip("_")[:_MAX_NAME] or UNNAMED


def _only(names: Sequence[str], written: str, spelled: Callable[[str], str]) -> str | None:
    found = [name for name in names if spelled(name) == spelled(written)] if written else []
    return found[0] if len(found) == 1 else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def regular_arguments(arguments: str, tool: ToolSchema | None) -> str:
    """The arguments as an object, if they stand for one, or if there are none to be had."""
    try:
        value = json.loads(arguments) if arguments.strip() else None
    except (ValueError, RecursionError):
        found = json_object(arguments.strip().removeprefix("{}")) or json_object(arguments)
        return arguments if found is None else json.dumps(found, ensure_ascii=False)
    if isinstance(value, dict):
        return arguments
    if value in (None, "", []) or (tool is not None and not tool.get("parameters", {}).get("properties")):
        return "{}"
    found = json_object(arguments)
    return arguments if found is None else json.dumps(found, ensure_ascii=False)
