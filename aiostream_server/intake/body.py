"""The bytes of a request body -> a validated `Shape`. Every mistake is an `InvalidRequest` or `UnsupportedMedia`.

A validation error of pydantic becomes the first thing to mend: a path (`messages[1].content`), what was expected, what
was found. Values are shown only where one of a few words was expected, and then in part: prompts belong in no error and
no log. `web` reads the bytes from the socket and bounds their size and time.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from aiostream_server.errors import InvalidRequest, UnsupportedMedia
from aiostream_server.intake.json_text import decode

_AnyShape = TypeVar("_AnyShape", bound="Shape")

_NOTHING: Final[Mapping[str, object]] = {}
_UTF8: Final = frozenset({"utf-8", "utf8"})
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "expected a string",
    "int_type": "expected an integer",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "dict_type": "expected an object",
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


class Shape(BaseModel):
    """A JSON object in a request. Types are never converted; null is the same as absent.

    Unknown keys are ignored: clients send more every year.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        if not isinstance(value, dict) or None not in value.values():
            return value
        return {key: item for key, item in value.items() if item is not None}


def parse_body(raw: bytes, shape: type[_AnyShape], *, given: Mapping[str, object] = _NOTHING) -> _AnyShape:
    """Decode and validate; `given` are fields that stand elsewhere in the request. Raises `InvalidRequest` for the
    first mistake."""
    try:
        return shape.model_validate({**decode_json(raw), **given})
    except ValidationError as exc:
        raise first_problem(exc) from exc


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not JSON in UTF-8, or is compressed, before it is read.

    `headers` must find its keys in any case, as aiohttp's do.
    """
    media_type, *parameters = headers.get("Content-Type", "").lower().split(";")
    if not _is_json(media_type.strip()):
        raise UnsupportedMedia("the body must be JSON: send Content-Type: application/json")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF8:
            raise InvalidRequest("the charset of Content-Type must be utf-8")
    if headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("the body must not be compressed: send no Content-Encoding")
    if headers.get("Transfer-Encoding", "").strip().lower() not in ("", "chunked"):
        raise UnsupportedMedia("the body must not be compressed: the only Transfer-Encoding is chunked")


def decode_json(raw: bytes) -> dict[str, object]:
    """A JSON object, read as strictly as `json_text.decode` reads it."""
    value = decode(raw)
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object: {...}")
    return value


def _is_json(media_type: str) -> bool:
    kind, slash, subtype = media_type.partition("/")
    return media_type == "application/json" or bool(kind and slash and subtype.endswith("+json"))


def first_problem(error: ValidationError) -> InvalidRequest:
    """The first mistake only: the client mends one at a time."""
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
    """`("messages", 1, "#user", "content")` is `messages[1].content`: tags of unions begin with `#`."""
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
