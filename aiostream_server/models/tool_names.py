"""Names of tools that every provider takes: unique, 1 to 64 ASCII letters, digits, `_` and `-`, a letter first.

OpenAI allows `^[a-zA-Z0-9_-]{1,64}$`, Gemini wants a letter or an underscore first, Kimi a letter. A name depends on
nothing but the set of names, so it is the same after a restart and in any order of listing: a name that is valid stays,
and of several that would become the same, or that are cut, the changed ones get a hash of the original.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage
from autogen_core.tools import ToolSchema
from msgspec import structs

from aiostream_server.models.provider import ModelRequest

_MAX_CHARS: Final = 64
_HASH_CHARS: Final = 8
_VALID: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{_MAX_CHARS - 1}}}")
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


def is_valid(name: str) -> bool:
    return _VALID.fullmatch(name) is not None


def valid_names(names: Iterable[str]) -> dict[str, str]:
    """A valid name for each of `names`, different from all others."""
    asked = sorted({*names})
    made = {name: name for name in asked if is_valid(name)}
    used = {*made}
    changed = [name for name in asked if name not in made]
    wanted = {name: _valid(name) for name in changed}
    for name in changed:
        is_shared = sum(other == wanted[name] for other in wanted.values()) > 1
        candidate, salt = (_hashed(name) if is_shared else wanted[name]), name
        while candidate in used:
            candidate = _hashed(name, salt)
            salt += "+"
        made[name] = candidate
        used.add(candidate)
    return made


def _valid(name: str) -> str:
    plain = _NOT_IN_A_NAME.sub("_", name)
    if not plain[:1].isalpha():
        plain = f"t{plain}" if plain.startswith("_") else f"t_{plain}"
    return plain if len(plain) <= _MAX_CHARS else _hashed(name)


def _hashed(name: str, salt: str | None = None) -> str:
    """The beginning of the name, with a hash of all of it."""
    digest = sha256((salt or name).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    plain = _NOT_IN_A_NAME.sub("_", name)[: _MAX_CHARS - _HASH_CHARS - 3]
    return f"{plain if plain[:1].isalpha() else f't_{plain}'}_{digest}"


class NamesOnTheWire:
    """The names of one request's tools as the provider gets them, where it would not take their own."""

    def __init__(self, request: ModelRequest) -> None:
        own = [tool["name"] for tool in (*request.tools, *request.offered)]
        called = [name for message in request.messages for name in _names_in(message)]
        self._wire: Mapping[str, str] = {} if all(map(is_valid, {*own, *called})) else valid_names([*own, *called])
        self.own_names: Final[Mapping[str, str]] = {self._wire.get(name, name): name for name in own}
        """The tools' own names by those that the provider gets."""

    def sent(self, request: ModelRequest) -> ModelRequest:
        """The request as the provider gets it."""
        if not self._wire:
            return request
        wire = self._wire
        return structs.replace(
            request,
            messages=[_renamed(message, wire) for message in request.messages],
            tools=[_named(tool, wire[tool["name"]]) for tool in request.tools],
            tool_choice=wire.get(request.tool_choice, request.tool_choice),
            offered=[_named(tool, wire[tool["name"]]) for tool in request.offered],
        )

    def own(self, calls: Sequence[FunctionCall]) -> list[FunctionCall]:
        """The calls of the answer, by the tools' own names."""
        if not self._wire:
            return list(calls)
        return [FunctionCall(call.id, call.arguments, self.own_names.get(call.name, call.name)) for call in calls]


def _named(tool: ToolSchema, name: str) -> ToolSchema:
    return {**tool, "name": name}


def _names_in(message: LLMMessage) -> Iterable[str]:
    if isinstance(message, AssistantMessage) and isinstance(message.content, list):
        return [call.name for call in message.content]
    if isinstance(message, FunctionExecutionResultMessage):
        return [result.name for result in message.content if result.name]
    return ()


def _renamed(message: LLMMessage, wire: Mapping[str, str]) -> LLMMessage:
    if isinstance(message, AssistantMessage) and isinstance(message.content, list):
        calls = [FunctionCall(call.id, call.arguments, wire.get(call.name, call.name)) for call in message.content]
        return message.model_copy(update={"content": calls})
    if isinstance(message, FunctionExecutionResultMessage):
        results = [each.model_copy(update={"name": wire.get(each.name, each.name)}) for each in message.content]
        return message.model_copy(update={"content": results})
    return message
