"""Compares what a model wrote with the form that a request asks for. Takes up to half a second: call it in a thread."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from autogen_core import FunctionCall

from aiostream_server.intake.answer_form import OutputTool
from aiostream_server.intake.answer_schema import AnswerSchema
from aiostream_server.models.json_in_text import json_text
from aiostream_server.text import printable_line

_FENCE: Final = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_QUOTED_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Formed:
    """`text` is JSON that fits; with a `tool`, its arguments."""

    text: str
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Misfit:
    reason: str


Fitting: TypeAlias = Formed | Misfit


def fitted(text: str, schema: AnswerSchema, *, is_amid_words: bool = False) -> Fitting:
    """A text that is JSON, alone or in a code fence; `is_amid_words`: or with words around it."""
    found = _found(text, is_amid_words=is_amid_words)
    if found is None:
        return Misfit(f"it is not JSON: {printable_line(text, _QUOTED_CHARS)}" if text.strip() else "it is empty")
    problem = schema.problem(found.value)
    return Formed(found.text) if problem is None else Misfit(problem)


def fitted_call(calls: Sequence[FunctionCall], tools: Sequence[OutputTool]) -> Fitting:
    """The first call."""
    known = {tool.name: tool for tool in tools}
    tool = known.get(calls[0].name)
    if tool is None:
        return Misfit(f"there is no tool {calls[0].name[:_QUOTED_CHARS]!r}; there are: {', '.join(known)}")
    return _of_tool(fitted(calls[0].arguments, tool.parameters), tool)


def fitted_choice(text: str, tools: Sequence[OutputTool]) -> Fitting:
    """A text that says a call, by a model that cannot call tools: the arguments, or `{"tool": ..., "arguments": ...}`
    where there are several tools."""
    if len(tools) == 1:
        return _of_tool(fitted(text, tools[0].parameters, is_amid_words=True), tools[0])
    found = _found(text, is_amid_words=True)
    match None if found is None else found.value:
        case {"tool": str() as name, "arguments": arguments}:
            return fitted_call([FunctionCall("", json.dumps(arguments), name)], tools)
    return Misfit(f"it is no call of {' or '.join(tool.name for tool in tools)}: {printable_line(text, _QUOTED_CHARS)}")


def _of_tool(fitting: Fitting, tool: OutputTool) -> Fitting:
    return Formed(fitting.text, tool.name) if isinstance(fitting, Formed) else fitting


class _FoundJson(NamedTuple):
    text: str
    value: Any


def _found(text: str, *, is_amid_words: bool) -> _FoundJson | None:
    if is_amid_words:
        candidate = json_text(text)
    else:
        fenced = _FENCE.fullmatch(text.strip())
        candidate = text.strip() if fenced is None else fenced[1]
    if candidate is None:
        return None
    try:
        return _FoundJson(candidate, msgspec.json.decode(candidate))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
