"""Events of Open WebUI's own, which ride in a chat stream: its page shows and stores them.

`{"event": {"type": ..., "data": ...}}` without `choices`: other clients do not know that, so it is for that page only.
Nothing in it is null, and a line stays shorter than 64 KiB: 0.6.36 ends a turn over one of 128 KiB.
"""

from typing import Final

from aiostream_server.wire.json_text import encode

_MOST_NAME_CHARS: Final = 200
_MOST_BYTES: Final = 60_000
_BYTES_OF_A_CHAR: Final = len(r"\ud83d\ude00")


def status_frame(description: str, *, done: bool) -> str:
    """The line above an answer; `done` ends its shimmer."""
    return _event("status", {"description": description[: _MOST_BYTES // 2 // _BYTES_OF_A_CHAR], "done": done})


def source_frame(name: str, text: str) -> str:
    """A source below an answer, to be unfolded. Sources of the same name are shown as one; long text is cut."""
    name = name[:_MOST_NAME_CHARS]
    line = _source(name, text)
    return line if len(line) <= _MOST_BYTES else _source(name, f"{text[: _MOST_BYTES // 2 // _BYTES_OF_A_CHAR]}…")


def _source(name: str, text: str) -> str:
    metadata = {"source": name, "name": name}
    return _event("source", {"source": {"name": name}, "document": [text], "metadata": [metadata]})


def _event(kind: str, data: dict[str, object]) -> str:
    return encode({"event": {"type": kind, "data": data}})
