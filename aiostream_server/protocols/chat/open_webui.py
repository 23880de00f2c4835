"""Events of Open WebUI's own in a chat stream: a status line above the answer, and sources below it.

`{"event": {"type": ..., "data": ...}}` without `choices`: only Open WebUI understands it, so only Open WebUI gets it.
Nothing in it is null, and a line stays shorter than 64 KiB: Open WebUI 0.6.36 ends a turn over a line of 128 KiB.
"""

from collections.abc import Iterator
from typing import Final

from aiostream_server.events import Event
from aiostream_server.intake.json_text import encode
from aiostream_server.present.sources import Sources
from aiostream_server.present.status import StatusLine
from aiostream_server.sse.frames import data_frame

_MOST_NAME_CHARS: Final = 200
_MOST_BYTES: Final = 60_000
_BYTES_OF_A_CHAR: Final = len(r"\ud83d\ude00")


class PageFrames:
    """One viewer's frames. Give both methods every event, in order."""

    def __init__(self) -> None:
        self._status = StatusLine()
        self._sources = Sources()

    def statuses(self, event: Event) -> Iterator[bytes]:
        for status in self._status.show(event):
            yield data_frame(status_frame(status.description, done=status.done))

    def sources(self, event: Event) -> Iterator[bytes]:
        for source in self._sources.show(event):
            yield data_frame(source_frame(source.name, source.text))


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
