"""JSON text: strict in what is read, harmless in what is written (https://www.rfc-editor.org/rfc/rfc8259).

Reads UTF-8 only; no NaN, no infinity, no number that a double cannot hold, no lone surrogate, no nesting too deep for a
recursive reader. msgspec refuses all of these; this module words its refusals so that a client can act on them.

Writes one line of ASCII. No reader of lines can cut it in two (some take U+2028, U+2029 and U+0085 for line ends), and
a surrogate pair that a provider split over two chunks is whole again once the client has joined them.
"""

import json
from typing import Any, Final

import msgspec

from aiostream_server.errors import InvalidRequest

_BYTE_ORDER_MARK: Final = "\ufeff"
_PREFIX: Final = "JSON is malformed: "
_TRUNCATED: Final = "Input data was truncated"
_WIDEST_ESCAPE_PAIR: Final = len(r"\ud83d\ude00")
_MOST_VALUES: Final = 1_000_000  # 32 MiB of `[],[],...` are 11 million: 900 MB, and 5 s of a blocked event loop
_decoder: Final = msgspec.json.Decoder()
_encoder: Final = msgspec.json.Encoder()
_sorted_encoder: Final = msgspec.json.Encoder(order="sorted")

quote: Final = json.encoder.encode_basestring_ascii
"""A string as a JSON string. A bare C function: every token pays for this call."""

encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
"""Any JSON value as one line of ASCII; raises `ValueError` for NaN and infinities."""


def dump(value: object) -> bytes:
    """Any JSON value as UTF-8, for `load`, in a seventh of the time that `encode` takes."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 has no bytes for
        return encode(value).encode("ascii")


def load(raw: bytes) -> Any:
    """The value of any JSON text, `dump`'s above all. Raises `ValueError`."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(raw)


def decode(raw: bytes) -> object:
    """The value of a client's JSON text; of equal keys the last one counts.

    Raises `InvalidRequest`, which says what is wrong and at which byte.
    """
    # Every value but the first follows one of these. Text may hold them, too, but no model reads a million of them.
    if len(raw) > _MOST_VALUES and sum(map(raw.count, (b"[", b"{", b","))) > _MOST_VALUES:
        raise InvalidRequest(f"the body holds more than {_MOST_VALUES} JSON values")
    text = _as_text(raw)
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError as exc:
        raise InvalidRequest(f"the body is not valid JSON: {_reason(text, exc).removeprefix(_PREFIX)}") from exc
    except RecursionError as exc:
        raise InvalidRequest("the body's JSON is nested too deeply") from exc


def canonical(value: object) -> bytes:
    """The same bytes for equal values, in whatever order their keys stand. Raises `InvalidRequest` for deep nesting."""
    try:
        return _sorted_encoder.encode(value)
    except RecursionError as exc:
        raise InvalidRequest("the body's JSON is nested too deeply") from exc


def _as_text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"the body is not UTF-8: {exc.reason} at byte {exc.start}") from exc
    if text.startswith(_BYTE_ORDER_MARK):
        raise InvalidRequest("the body begins with a byte order mark; send UTF-8 without one")
    if not text or text.isspace():
        raise InvalidRequest("the body is empty; send a JSON object")
    return text


def _reason(text: str, error: msgspec.DecodeError) -> str:
    """msgspec's own words, except where the text ends too early."""
    if str(error) != _TRUNCATED:
        return str(error)
    # msgspec says the same of a lone surrogate near the end of the text. With room behind it, it names the surrogate.
    try:
        _decoder.decode(text + " " * _WIDEST_ESCAPE_PAIR)
    except msgspec.DecodeError as roomier:
        if "surrogate" in str(roomier):
            return str(roomier)
    return f"it ends before it is complete (byte {len(text.encode())})"
