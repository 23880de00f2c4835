"""Finds the JSON in what a model wrote: in a Markdown fence, behind prose, or written as a string of JSON.

Models are asked for JSON alone, and write more (ollama/ollama#15595, googleapis/js-genai#976).
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_FENCE: Final = re.compile(r"(`{3,}|~{3,})[^`\n]*\n")
_MAX_CHARACTERS: Final = 2 * 1024**2  # decoding more would block the event loop for more than 50 ms
_MAX_ATTEMPTS: Final = 50  # braces in prose that might begin an object
_decoder: Final = json.JSONDecoder(strict=False)


def json_text(text: str) -> str | None:
    """All of `text` if it is JSON, else what a fence in it holds, else the longest object in it; None without any."""
    if len(text) > _MAX_CHARACTERS:
        return None
    for whole in (text, *_fenced(text)):
        if (decoded := _decoded(whole)) is not None:
            return _text_of(whole, decoded[0])
    objects = list(_objects(text))
    if not objects:
        return None
    start, end, value = max(reversed(objects), key=lambda one: one[1] - one[0])
    return _text_of(text[start:end], value)


def json_object(text: str) -> dict[str, Any] | None:
    """The one JSON object that `text` stands for. None: it is something else, or several."""
    found = json_text(text)
    if len({str(value) for _, _, value in _objects(text)}) > 1:
        return None
    if found is None:
        return None
    value = json.loads(found)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


def _fenced(text: str) -> Iterator[str]:
    at = 0
    while (fence := _FENCE.search(text, at)) is not None:
        end = text.find(fence[1], fence.end())
        if end < 0:
            return
        yield text[fence.end() : end]
        at = end + len(fence[1])


def _decoded(text: str) -> tuple[Any] | None:
    try:
        return (_decoder.decode(text.strip("\ufeff \t\r\n\0")),)
    except (ValueError, RecursionError):
        return None


def _text_of(text: str, value: object) -> str:
    """The text of a value, which strict parsers read."""
    if isinstance(value, str) and (inner := _decoded(value)) is not None and isinstance(inner[0], dict | list):
        return _text_of(value, inner[0])
    try:
        json.loads(text)
    except ValueError:  # control characters in strings
        return json.dumps(value, ensure_ascii=False)
    return text.strip()


def _objects(text: str) -> Iterator[tuple[int, int, Any]]:
    """The objects that stand in `text`, not inside one that breaks off: beginning, end and value."""
    at = text.find("{")
    for _ in range(_MAX_ATTEMPTS):
        if at < 0:
            return
        try:
            value, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if text.count("{", 0, at) == text.count("}", 0, at):
                yield at, end, value
        at = text.find("{", end)
