"""Compares what a model wrote with the form that a request asks for. Takes up to half a second: call it in a thread."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec
from autogen_core import FunctionCall

from aiostream_server.intake.answer_form import OutputTool
from aiostream_server.intake.answer_schema import AnswerSchema
from aiostream_server.text import printable_line

_FENCE: Final = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_BEGINNING: Final = re.compile(r"[{\[]")
_MAX_STARTS: Final = 50
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
    for candidate in _candidates(text, is_amid_words=is_amid_words):
        try:
            value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        problem = schema.problem(value)
        return Formed(candidate.strip()) if problem is None else Misfit(problem)
    return Misfit(f"it is not JSON: {printable_line(text, _QUOTED_CHARS)}" if text.strip() else "it is empty")


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
    for candidate in _candidates(text, is_amid_words=True):
        try:
            value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        match value:
            case {"tool": str() as name, "arguments": arguments}:
                return fitted_call([FunctionCall("", json.dumps(arguments), name)], tools)
    return Misfit(f"it is no call of {' or '.join(tool.name for tool in tools)}: {printable_line(text, _QUOTED_CHARS)}")


def _of_tool(fitting: Fitting, tool: OutputTool) -> Fitting:
    return Formed(fitting.text, tool.name) if isinstance(fitting, Formed) else fitting


def _candidates(text: str, *, is_amid_words: bool) -> list[str]:
    """What may be the JSON, the likeliest first."""
    text = text.strip()
    found = [text, *_FENCE.findall(text)] if is_amid_words or _FENCE.fullmatch(text) else [text]
    if is_amid_words:
        decoder = json.JSONDecoder()
        for start in [match.start() for match in _BEGINNING.finditer(text)][:_MAX_STARTS]:
            try:
                _, end = decoder.raw_decode(text, start)
            except (ValueError, RecursionError):
                continue
            found.append(text[start:end])
            break
    return found
