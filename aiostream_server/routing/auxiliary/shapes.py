"""The JSON that clients parse: written here, or found in what a model wrote and checked.

Open WebUI cuts an answer at its first (0.6.36) or last (0.12.4: queries, image prompts) `{`. So an object with one
flat value has no other brace in it: braces inside texts are escaped.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, JSON_KINDS, AuxiliaryKind, JsonKind

Json: TypeAlias = object
_FLAT_OBJECT: Final = re.compile(r"\{[^{}]*\}")
_BRACES: Final = str.maketrans({"{": "\\u007b", "}": "\\u007d"})
_READ_CHARS: Final = 50_000
_TITLE_CHARS: Final = 100
_TAG_CHARS: Final = 40
_FOLLOW_UP_CHARS: Final = 400  # Open WebUI 0.12.4 drops longer ones
_QUERY_CHARS: Final = 300
_COMPLETION_CHARS: Final = 400
_IMAGE_PROMPT_CHARS: Final = 4_000
_QUOTES: Final = "\"'“”„«»`*# "
_EMOJI: Final = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}|[\u2600-\u27bf\u2b50\u2b55\U0001f300-\U0001faff]"
    "[\ufe0f\U0001f3fb-\U0001f3ff]{0,2}(?:\u200d[\u2640\u2642\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?){0,4})"
)
_OPERATIONS: Final = {
    "add": frozenset({"content"}),
    "replace": frozenset({"id", "content"}),
    "move": frozenset({"id", "path"}),
    "remove": frozenset({"id"}),
}


def json_answer(kind: JsonKind, value: Json) -> str:
    """The object that the client expects for this kind, on one line."""
    key = json.dumps(JSON_KEYS[kind])
    text = json.dumps(value, ensure_ascii=False)
    if kind not in ("function_calling", "memory_review"):
        text = text.translate(_BRACES)
    return f"{{{key}: {text}}}"


def usable_answer(kind: AuxiliaryKind, written: str) -> str | None:
    """A model's answer in the form that the client expects; None where it holds no such answer."""
    if json_kind := JSON_KINDS.get(kind):
        values = (_checked(json_kind, found) for found in json_objects(written[-_READ_CHARS:]))
        return next((json_answer(json_kind, value) for value in values if value is not None), None)
    if kind == "emoji_generation":
        found = _EMOJI.search(written)
        return found[0] if found else None
    match kind:
        case "plain_title":
            return _short_line(_inner(written, "title"), _TITLE_CHARS)
        case "plain_tags":
            tags = _tags([tag.strip(_QUOTES + "[]") for tag in re.split(r"[,，、\n]", _inner(written, "tags"))])
            return ", ".join(tags) if tags else None
    return written.strip() or None


def _inner(written: str, name: str) -> str:
    """The text in a JSON object or an XML element of that name; otherwise all of it."""
    for found in json_objects(written[-_READ_CHARS:]):
        value = found.get(name, next(iter(found.values()), None))
        if isinstance(value, list):
            return ",".join(map(str, value))
        if isinstance(value, str):
            return value
    element = re.search(rf"<{name}>([^<]{{0,400}})</{name}>", written)
    return element[1] if element else written


def json_objects(written: str) -> Iterator[dict[str, Json]]:
    """The object from the first brace to the last; then flat objects in prose and fences, the last one first.

    Models may think aloud before they answer, and put JSON into code fences.
    """
    whole = written[written.find("{") : written.rfind("}") + 1]
    for text in (whole, *reversed(_FLAT_OBJECT.findall(written))):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _checked(kind: JsonKind, found: dict[str, Json]) -> Json | None:
    value = found.get(JSON_KEYS[kind])
    if kind == "function_calling" and value is None and "name" in found:
        value = [found]  # a single call without its list
    return None if value is None else _CHECKS[kind](value)


def _line(value: Json, chars: int) -> str | None:
    """The value as one line, if it is neither empty nor longer than that."""
    if not isinstance(value, str) or not _is_text(value):
        return None
    line = " ".join(value.split())
    return line if 0 < len(line) <= chars else None


def _is_text(value: str) -> bool:
    """Whether it has no lone surrogate, which JSON can spell."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _short_line(value: Json, chars: int) -> str | None:
    line = _line(value, chars + 10)
    return _line(line.strip(_QUOTES), chars) if line else None


def _lines(most: int, chars: int) -> Callable[[Json], list[str] | None]:
    """A check for a list of texts: the distinct lines, or None where an item is not a text."""

    def check(value: Json) -> list[str] | None:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return None
        lines = dict.fromkeys(line for item in value if (line := _line(item, chars)) is not None)
        return list(lines)[:most] if lines or not value else None

    return check


def _tags(value: Json) -> list[str] | None:
    return _lines(6, _TAG_CHARS)(value) or None


def _completion(value: Json) -> str | None:
    return value if isinstance(value, str) and _is_text(value) and len(value) <= _COMPLETION_CHARS else None


def _tool_calls(value: Json) -> Json | None:
    if not isinstance(value, list):
        return None
    calls = [call for call in value if isinstance(call, dict) and isinstance(call.get("name"), str)]
    if len(calls) < len(value) or not all(isinstance(call.get("parameters", {}), dict) for call in calls):
        return None
    return [{"name": call["name"], "parameters": call.get("parameters", {})} for call in calls]


def _operations(value: Json) -> Json | None:
    return value if isinstance(value, list) and all(map(_is_operation, value)) else None


def _is_operation(value: Json) -> bool:
    if not isinstance(value, dict) or not all(isinstance(field, str) for field in value.values()):
        return False
    needed = _OPERATIONS.get(value.get("action", ""))
    return needed is not None and all(value.get(field) or field == "path" for field in needed)


_CHECKS: Final[dict[JsonKind, Callable[[Json], Json | None]]] = {
    "title_generation": lambda value: _short_line(value, _TITLE_CHARS),
    "tags_generation": _tags,
    "follow_up_generation": _lines(5, _FOLLOW_UP_CHARS),
    "query_generation": _lines(3, _QUERY_CHARS),
    "image_prompt_generation": lambda value: _line(value, _IMAGE_PROMPT_CHARS),
    "autocomplete_generation": _completion,
    "function_calling": _tool_calls,
    "memory_review": _operations,
}
