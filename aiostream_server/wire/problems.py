"""A validation error of pydantic's as the one thing to mend next: a path (`messages[1].content`), expected, found.

Values are shown only where one of a few words was expected, and then in part: prompts belong in no error and no log.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from aiostream_server.errors import InvalidRequest

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "expected a string",
    "int_type": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "content_type": "expected a string or a list of content parts",
    "url_type": "expected a data URL as a string",
    "literal_error": "expected {expected}",
}
_WRONG: Final[Mapping[str, str]] = {
    "missing": "is required",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
}
_KEY_OF: Final[Mapping[str, str]] = {"unknown_role": "role", "unknown_type": "type", "content_missing": "content"}
_LEGACY_ROLE: Final = " (it is out of use: send 'tool', with a tool_call_id)"
_LONGEST_WORD: Final = 40


def first_problem(error: ValidationError) -> InvalidRequest:
    """The first mistake; the client mends one at a time."""
    detail = error.errors(include_url=False)[0]
    kind, location, found = detail["type"], detail["loc"], detail["input"]
    if key := _KEY_OF.get(kind):
        if isinstance(found, dict):
            location, found = (*location, key), found.get(key)
        else:
            kind = "model_type"
    param = path(location)
    complaint = _complaint(kind, detail["msg"], detail.get("ctx", {}), found)
    return InvalidRequest(f"{param}: {complaint}", param=param)


def path(location: tuple[int | str, ...]) -> str:
    """`("messages", 1, "#user", "content")` is `messages[1].content`: union tags, which begin with `#`, are no keys."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location if not str(step).startswith("#"))
    return "".join(steps).removeprefix(".")


def _complaint(kind: str, message: str, context: Mapping[str, Any], found: object) -> str:
    if kind in _WRONG:
        return _WRONG[kind].format_map(context)
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind].format_map(context)}, got {_kind_of(found, show_word=kind == 'literal_error')}"
    if kind in ("unknown_role", "unknown_type"):
        if found is None:
            return f"is required: {message}"
        hint = _LEGACY_ROLE if (kind, found) == ("unknown_role", "function") else ""
        return f"{message}, got {_kind_of(found, show_word=True)}{hint}"
    return message


def _kind_of(found: object, *, show_word: bool) -> str:
    match found:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return repr(found) if show_word and len(found) <= _LONGEST_WORD else "a string"
        case list():
            return "a list"
        case _:
            return "an object"
