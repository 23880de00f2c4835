"""The bytes of a request -> a validated shape of `wire`. Raises errors of `errors.py`, and nothing else.

Reading the bytes from the socket, how many and for how long, is the web room's part; `check_headers` needs no body and
may be called before it is read.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from pydantic import ValidationError

from aiostream_server.errors import InvalidRequest, UnsupportedMedia
from aiostream_server.wire.json_text import decode
from aiostream_server.wire.messages import Shape
from aiostream_server.wire.problems import first_problem

_AnyShape = TypeVar("_AnyShape", bound=Shape)

_UTF8: Final = frozenset({"utf-8", "utf8"})


def parse_body(raw: bytes, headers: Mapping[str, str], shape: type[_AnyShape]) -> _AnyShape:
    """The whole way; `headers` must find its keys in any case, as aiohttp's do."""
    check_headers(headers)
    try:
        return shape.model_validate(decode_json(raw))
    except ValidationError as exc:
        raise first_problem(exc) from exc


def check_headers(headers: Mapping[str, str]) -> None:
    """JSON, in UTF-8, not compressed: 415 otherwise, and 400 for another charset."""
    media_type, *parameters = headers.get("Content-Type", "").lower().split(";")
    if not _is_json(media_type.strip()):
        raise UnsupportedMedia("the body must be JSON: send Content-Type: application/json")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in _UTF8:
            raise InvalidRequest("the charset of Content-Type must be utf-8")
    if headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("the body must not be compressed: send no Content-Encoding")


def decode_json(raw: bytes) -> dict[str, object]:
    """A JSON object, as strictly as `wire.json_text` reads it."""
    value = decode(raw)
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object: {...}")
    return value


def _is_json(media_type: str) -> bool:
    kind, slash, subtype = media_type.partition("/")
    return media_type == "application/json" or bool(kind and slash and subtype.endswith("+json"))
