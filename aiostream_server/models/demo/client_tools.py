"""The demo model calls tools that it does not know by themselves, such as those that a client brings.

It calls the tool that the question mentions by name, and takes the last name or quotation in the question for the
argument: "What is the weather in Oslo?" calls `get_weather` with Oslo. Then it repeats what the tool answered.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from autogen_core.tools import ToolSchema

from aiostream_server.models.demo.assistant import CALCULATE
from aiostream_server.models.demo.conversation import DemoReply, DemoRequest, say, shorten
from aiostream_server.models.demo.forms import Filler, Unfillable, not_filled
from aiostream_server.models.demo.rows import CHART
from aiostream_server.models.demo.sql_agent import SQL_TOOLS
from aiostream_server.models.provider import ModelRequest

_OWN: Final = frozenset({CALCULATE, CHART, *SQL_TOOLS})
_NAMED: Final = re.compile(r"[“\"]([^”\"]{1,200})[”\"]|(?<=\s)([^\W\d_a-z]\w*(?:[ -][^\W\d_a-z]\w*)*)")
_IN_NAME: Final = re.compile(r"[a-z]+|[A-Z][a-z]*")
_LAST_CALL: Final = "You put an answer that is given to you into JSON"  # `runs.last_call` says so
_VERBS: Final = frozenset({"get", "set", "list", "find", "search", "read", "write", "make", "the", "for", "of", "to"})


def call_unknown(request: ModelRequest, read: DemoRequest) -> DemoReply | None:
    """A call, or what came of it; None where the question is about no such tool, or the request is for the last call of
    a run. Raises `SchemaNotMet` for a forced call if the question does not say its arguments."""
    theirs = [tool for tool in request.tools if tool["name"] in read.tools - _OWN and not _is_handoff(tool)]
    if not theirs or _LAST_CALL in read.system:
        return None
    asked = _words(read.question)
    best = max(theirs, key=lambda tool: len(_words_of(tool["name"]) & asked))  # the first of equals
    if request.tool_choice != "auto":
        try:
            return _call_of(best, read.question)
        except Unfillable as exc:
            raise not_filled(exc, "the question") from exc
    if answered := next(filter(None, (read.result(tool["name"]) for tool in theirs)), None):
        return say(f"{answered.name} answered: {shorten(answered.content, words=100, characters=600)}")
    if not _words_of(best["name"]) & asked:
        return None
    try:
        return _call_of(best, read.question)
    except Unfillable:
        return None


def _call_of(tool: ToolSchema, question: str) -> DemoReply:
    """Raises `Unfillable` with the name of an argument."""
    parameters: Mapping[str, Any] = tool.get("parameters", {})
    named = [quoted or name for quoted, name in _NAMED.findall(question)]
    filler = Filler(named[-1] if named else question.strip(" ?!."), parameters, question)
    arguments = filler.value({**parameters, "type": "object"}, "the arguments", 0)
    return DemoReply("", tool["name"], json.dumps(arguments, ensure_ascii=False))


def _is_handoff(tool: ToolSchema) -> bool:
    return tool["name"].startswith("transfer_to_")


def _words_of(name: str) -> set[str]:
    return {word.lower() for word in _IN_NAME.findall(name) if len(word) > 2} - _VERBS


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower()))
