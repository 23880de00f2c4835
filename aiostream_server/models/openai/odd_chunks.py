"""The second, lenient reading of a chunk that `chunks` does not take: one odd field never ends an answer.

Text is taken from whatever carries text: strings, numbers, and parts, alone or in lists, as Mistral's reasoning models
send them (https://docs.mistral.ai/capabilities/reasoning/: parts of type `thinking` are reasoning). A field that only
informs counts as absent where it does not fit. JSON may hold NaN, raw control characters, bytes that are no UTF-8,
halves of surrogate pairs, and values nested deeper than a parser follows.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from aiostream_server.models.openai.chunks import (
    Choice,
    Function,
    ProviderChunk,
    ProviderDelta,
    ProviderUsage,
    ToolCallPiece,
)
from aiostream_server.models.openai.messages import without_surrogates

_MAX_DEPTH: Final = 50  # deeper values count as null
_MAX_DIGITS: Final = 30
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_BETWEEN_VALUES: Final = " \t\r\n\0,;"
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")

_WITHOUT_TEXT: Final = ("tool", "reference", "citation", "image", "audio", "video", "file", "document")
_TEXT_KEYS: Final = ("text", "value", "content", "parts", "output_text", "refusal")
_THOUGHT_KEYS: Final = ("thinking", "reasoning", "reasoning_content", "summary")
_WORD_KEYS: Final = ("type", "reason", "finish_reason", "value", "name")

_StructT = TypeVar("_StructT", bound=msgspec.Struct)
_Readers = Mapping[str, Callable[[Any, str], Any]]


def json_values(payload: bytes) -> list[Any]:
    """The JSON values in `payload`, one behind the other. Raises `ValueError` if it does not begin with one."""
    text = payload.decode("utf-8", "replace").lstrip("\ufeff" + _BETWEEN_VALUES)
    if text.count("[") + text.count("{") > _MAX_DEPTH:
        text = _without_deep_values(text)
    values: list[Any] = []
    while text:
        try:
            value, end = _decoder.raw_decode(text)
        except ValueError:
            if not values:
                raise
            break  # what stands behind a value and is none is dropped
        values.append(without_surrogates(value) if _SURROGATE.search(text, 0, end) else value)
        text = text[end:].lstrip(_BETWEEN_VALUES)
    return values


def _without_deep_values(text: str) -> str:
    kept: list[str] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _MAX_DEPTH:
                kept.append(text[start : token.start()])
        elif token[0] in "]}":
            depth -= 1
            if depth == _MAX_DEPTH - 1:
                kept.append("null")
                start = token.end()
    return "".join([*kept, text[start:]]) if depth < _MAX_DEPTH else text


def _whole_number(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


_fields_of: Final = cache(msgspec.structs.fields)  # it takes longer than the reading
_decoder: Final = json.JSONDecoder(strict=False, parse_int=_whole_number, parse_constant=lambda _: None)


class OddChunkReader:
    """Reads chunks with any JSON as the values of their fields. `odd` names the fields that did not fit."""

    def __init__(self) -> None:
        self.odd: dict[str, None] = {}  # in the order in which they came
        self._chunk: Final[_Readers] = {"choices": self._choices, "usage": self._usage}
        self._choice: Final[_Readers] = {
            "index": self._choice_number,
            "delta": self._delta,
            "message": self._delta,
            "finish_reason": self._reason,
            "native_finish_reason": self._reason,
            "text": self._text,
        }
        self._said: Final[_Readers] = {
            "content": self._text,
            "reasoning_content": self._text,
            "reasoning": self._text,
            "refusal": self._text,
            "tool_calls": self._calls,
            "function_call": self._function,
        }
        self._call: Final[_Readers] = {"id": self._word, "function": self._function}
        self._function_fields: Final[_Readers] = {"name": self._word, "arguments": self._arguments}

    def read(self, value: Mapping[str, Any]) -> ProviderChunk:
        return self._struct(ProviderChunk, value, self._chunk, "")

    def _struct(self, kind: type[_StructT], value: Mapping[str, Any], readers: _Readers, path: str) -> _StructT:
        """A struct of the fields that fit or that their reader can read; the others are absent."""
        fields: dict[str, Any] = {}
        for field in _fields_of(kind):
            found, name = value.get(field.encode_name), f"{path}{field.name}"
            if found is None:
                continue
            if (read := readers.get(field.name)) is not None:
                fields[field.name] = read(found, name)
                continue
            try:
                fields[field.name] = msgspec.convert(found, field.type, strict=False)
            except msgspec.ValidationError:
                self._note(name)
        return kind(**fields)

    def _usage(self, value: Any, path: str) -> ProviderUsage | None:
        if isinstance(value, Mapping):
            return self._struct(ProviderUsage, value, {}, f"{path}.")
        self._note(path)
        return None

    def _choices(self, value: Any, path: str) -> list[Choice]:
        choices = self._objects(value, path, ("delta", "message", "text", "finish_reason"))
        return [self._struct(Choice, choice, self._choice, f"{path}.") for choice in choices]

    def _choice_number(self, value: Any, path: str) -> int | None:
        if type(value) is int:
            return value
        self._note(path)
        return None

    def _delta(self, value: Any, path: str) -> ProviderDelta | None:
        """A delta that is no object is its text."""
        if not isinstance(value, Mapping):
            self._note(path)
            value = {"content": value}
        delta = self._struct(ProviderDelta, value, self._said, f"{path}.")
        texts: list[str] = []
        thoughts: list[str] = []
        _gather(value.get("content"), texts, thoughts)
        if thoughts and not (delta.reasoning_content or delta.reasoning):
            delta.thought = "".join(thoughts)  # it came in no field of its own, so none goes back
        return delta

    def _text(self, value: Any, path: str) -> str:
        if isinstance(value, str):
            return value
        self._note(path)
        texts: list[str] = []
        thoughts: list[str] = []
        _gather(value, texts, thoughts)
        return "".join([*thoughts, *texts] if "reasoning" in path else texts)

    def _calls(self, value: Any, path: str) -> list[ToolCallPiece]:
        calls = self._objects(value, path, ("function", "id", "index"))
        return [self._struct(ToolCallPiece, call, self._call, f"{path}.") for call in calls]

    def _function(self, value: Any, path: str) -> Function | None:
        if isinstance(value, Mapping):
            return self._struct(Function, value, self._function_fields, f"{path}.")
        self._note(path)
        return Function(name=value) if isinstance(value, str) else None

    def _arguments(self, value: Any, path: str) -> str | dict[str, Any]:
        if isinstance(value, str | dict):
            return value
        self._note(path)
        return json.dumps(value)

    def _word(self, value: Any, path: str) -> str | None:
        """A reason, name or id that is no string."""
        if isinstance(value, str):
            return value
        self._note(path)
        while isinstance(value, list | Mapping):
            inner = value if isinstance(value, list) else [value[key] for key in _WORD_KEYS if value.get(key)]
            value = inner[0] if inner else None
        return None if value in (None, False, "") else str(value)

    def _reason(self, value: Any, path: str) -> str | None:
        """A reason that is no word ends the answer all the same."""
        word = self._word(value, path)
        if word is None or isinstance(value, str):
            return word
        return "stop" if value is True else f"code {word}" if isinstance(value, int | float) else word

    def _objects(self, value: Any, path: str, keys: tuple[str, ...]) -> list[Mapping[str, Any]]:
        """The objects in a list, in an object with numbers as its keys, or the lone object that has one of `keys`."""
        found = value
        if isinstance(value, Mapping):
            found = [value] if any(key in value for key in keys) else list(value.values())
        objects = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
        if found is not value or not isinstance(value, list) or len(objects) < len(value):
            self._note(path)
        return objects

    def _note(self, path: str) -> None:
        self.odd[path] = None


def thought_in(details: list[Any]) -> str:
    """The text of `reasoning_details`, for providers that send it nowhere else."""
    thoughts: list[str] = []
    _gather(details, [], thoughts, is_thought=True)
    return "".join(thoughts)


def _gather(value: Any, texts: list[str], thoughts: list[str], *, is_thought: bool = False) -> None:
    """Add the texts that `value` carries, and apart from them those of its `thinking` parts."""
    match value:
        case bool() | None:
            return
        case str() | int() | float():
            (thoughts if is_thought else texts).append(str(value))
        case list():
            for part in value:
                _gather(part, texts, thoughts, is_thought=is_thought)
        case dict():
            kind = str(value.get("type", "")).lower()
            if kind.startswith(_WITHOUT_TEXT):
                return
            is_thought = is_thought or value.get("thought") is True or "think" in kind or "reason" in kind
            if (inner := _first(value, _THOUGHT_KEYS)) is not None:
                _gather(inner, texts, thoughts, is_thought=True)
            if (inner := _first(value, _TEXT_KEYS)) is not None:
                _gather(inner, texts, thoughts, is_thought=is_thought)


def _first(value: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((value[key] for key in keys if value.get(key) not in (None, "", [], {})), None)
