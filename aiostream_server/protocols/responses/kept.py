"""What is kept of a request with its run, so that the response can be shown later, on any node: JSON in `RunCard.kept`.

Pictures and files are left out, and of a long input the oldest items: what is kept takes memory as long as the run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from aiostream_server.intake.json_text import encode
from aiostream_server.protocols.chat.tool_calls import Calls

_INPUT_CHARS: Final = 64 * 1024
_ELIDED: Final = ("image_url", "file_data")


class KeptResponse(msgspec.Struct, frozen=True):
    """`echo` is JSON of ASCII: the fields of the request that the response repeats. `input` holds the items, as JSON
    each.

    `is_stored`: the response can be read and continued later. `calls`: the answer is a call of a tool. `is_json`: it is
    nothing but JSON. `is_continuation`: it goes on in the assistant's last message.
    """

    echo: msgspec.Raw = msgspec.Raw(b"{}")
    input: Sequence[Mapping[str, Any]] = ()
    is_stored: bool = True
    is_background: bool = False
    calls: Calls = None
    is_json: bool = False
    is_continuation: bool = False


_decoder: Final = msgspec.json.Decoder(KeptResponse)


def read_kept(raw: bytes) -> KeptResponse:
    return _decoder.decode(raw) if raw else KeptResponse()


def write_kept(echo: Mapping[str, Any], items: Sequence[Mapping[str, Any]], **flags: object) -> bytes:
    """One line of ASCII. `flags` are the other fields of `KeptResponse`."""
    return encode({"echo": echo, "input": _newest(items), **flags}).encode("ascii")


def _newest(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    newest: list[Mapping[str, Any]] = []
    room = _INPUT_CHARS
    for item in reversed(items):
        bare = _without_files(item)
        room -= len(encode(bare))
        if room < 0:
            break
        newest.append(bare)
    return newest[::-1]


def _without_files(item: Mapping[str, Any]) -> Mapping[str, Any]:
    content = item.get("content")
    if not isinstance(content, list):
        return item
    return {**item, "content": [_without_data(part) if isinstance(part, dict) else part for part in content]}


def _without_data(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: None if key in _ELIDED else value for key, value in part.items()}
