"""Bytes -> server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

Of each event its `data`; the other fields repeat what stands there. Half an event, where the bytes end, is none.
"""

import re
from collections.abc import Iterator
from typing import Final

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"
_MAX_EVENT_BYTES: Final = 1024**2


class SseParser:
    """Feed it a body, cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._after_cr = False
        self._at_start = True
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of every event that is complete now. Raises `ValueError` for what is no such stream."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")  # the second half of a line end
            self._after_cr = False
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        for line in lines:
            yield from self._line(line)
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
