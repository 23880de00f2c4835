"""Bytes -> server-sent events -> a run's events.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. Only the field `data` is read,
because the other fields repeat it. An event without the blank line at its end is dropped, as the standard demands.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.client.errors import BadAnswer
from aiostream_server.events import Event
from aiostream_server.events.codec import decode_event

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"
_MAX_EVENT_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a run. `event` is None for a type of a newer server; `truncated`: its content is a beginning."""

    seq: int
    type: str
    event: Event | None
    truncated: bool


def read_frame(data: str) -> Frame:
    """Raises `BadAnswer`: any kind of server may answer at a URL."""
    try:
        body = json.loads(data)
        if type(seq := body["seq"]) is not int:
            raise ValueError(f"seq: expected an integer, got {seq!r:.80}")
        return Frame(seq, str(body["type"]), decode_event(body), body.get("truncated") is True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise BadAnswer(f"the answer is no stream of a run's events: {exc!r:.200}") from exc


class SseParser:
    """Feed it a body in pieces of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()  # the beginning of a line, which may arrive in many pieces
        self._after_cr = False
        self._at_start = True
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of every event that is complete now. Raises `ValueError` if the body is no such stream."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")  # the second half of a line end
            self._after_cr = False
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        if cut := max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1:
            *lines, _ = _LINE_END.split(bytes(self._rest) + chunk[:cut])
            self._rest.clear()
            for line in lines:
                yield from self._line(line)
        self._rest += chunk[cut:]
        if len(self._rest) + self._data_bytes > _MAX_EVENT_BYTES:
            raise ValueError("an event is too long")

    def _line(self, line: bytes) -> Iterator[str]:
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode())
            self._data_bytes += len(value)
        elif not line:
            if self._data:
                yield "\n".join(self._data)
            self._data, self._data_bytes = [], 0
