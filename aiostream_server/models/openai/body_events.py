"""Cuts the body of an answer into the payloads of its events; the first bytes decide what it is.

Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), lines of JSON, or one JSON document
on any number of lines: the label of the response says too often something else. Each `data:` line is an event if it
can be read alone, because some providers omit the blank line between events; else it waits for the rest of its event.
"""

from collections.abc import Callable
from typing import Final

from aiostream_server.errors import ModelFailed

MAX_EVENT_BYTES: Final = 16 * 1024**2  # a picture in an answer is one event
_LINE_COST_BYTES: Final = 64  # of keeping a line
_DENSE_BYTES: Final = 256 * 1024
_MAX_VALUES: Final = 200_000  # decoding them blocks the event loop for about 20 ms

_BOM: Final = b"\xef\xbb\xbf"
_WHITE: Final = b" \t\r\n\0"
_LINE_ENDS: Final = (b"\r", b"\n")


class BodyEvents:
    """`take` reads a payload and returns False if it is no JSON; `take_error` reads that of an `event: error`."""

    __slots__ = (
        "_cut_in_line_end",
        "_error",
        "_fail",
        "_has_begun",
        "_held",
        "_held_size",
        "_is_error",
        "_line",
        "_line_size",
        "_take",
        "is_json",
    )

    def __init__(
        self, take: Callable[[bytes], bool], take_error: Callable[[bytes], None], fail: Callable[[str], ModelFailed]
    ) -> None:
        self.is_json = False  # lines of JSON, or a document
        self._take = take
        self._error = take_error
        self._fail = fail
        self._has_begun = False
        self._line: list[bytes] = []  # the reads of an incomplete line
        self._line_size = 0
        self._held: list[bytes] = []  # the lines of an event that cannot be read alone
        self._held_size = 0
        self._is_error = False
        self._cut_in_line_end = False  # between CR and LF

    @property
    def is_between(self) -> bool:
        """Whether the next byte begins an event of which nothing is known yet."""
        return not (self._line or self._held or self._is_error or self.is_json)

    def feed(self, data: bytes) -> None:
        """Raises `ModelFailed`, and what the callbacks raise."""
        if self._cut_in_line_end and data.startswith(b"\n"):
            data = data[1:]
        self._cut_in_line_end = data.endswith(b"\r")
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if cut:
            lines = b"".join([*self._line, data[:cut]]) if self._line else data[:cut]
            self._line, self._line_size = [], 0
            self._read(lines)
        if cut < len(data):
            self._line.append(data[cut:])
            self._line_size += len(data) - cut
            self._check(self._line_size)

    def end(self) -> None:
        """Read what the end of the body completes."""
        self.feed(b"\n")
        self._end_event()

    def close(self) -> None:
        """Let go of the callbacks; nothing may be fed afterwards."""
        del self._take, self._error, self._fail

    def _read(self, lines: bytes) -> None:
        if not self._has_begun:
            lines = self._begin(lines)
        if lines.startswith(_LINE_ENDS) and not self.is_json:
            self._end_event()
            lines = lines.lstrip(b"\r\n")  # a flood of them costs nothing
        take = self._take
        for line in lines.splitlines():
            if line.startswith(b"data:") and not (self.is_json and self._held):
                payload = line[5:].strip()
                if self._held or self._is_error or len(payload) > _DENSE_BYTES or not payload.startswith(b"{"):
                    self._read_data(payload)
                elif not take(payload):
                    self._hold(payload)
            elif line:
                self._read_other(line)
            elif not self.is_json:
                self._end_event()

    def _begin(self, lines: bytes) -> bytes:
        lines = lines.removeprefix(_BOM).lstrip(_WHITE)
        self._has_begun = bool(lines)
        if lines.startswith(b"<"):
            raise self._fail("answered with a web page: is its base_url right?")
        self.is_json = lines.startswith((b"{", b"["))
        return lines

    def _read_other(self, line: bytes) -> None:
        if self._held or line.startswith((b"{", b"[")):  # a proxy's bare error, too
            self._read_whole(line)
        elif line.startswith(b"event:"):
            self._is_error = line[6:].strip().lower() == b"error"
        elif line.startswith(b"error:"):  # older llama.cpp: ggml-org/llama.cpp#16109
            self._error(line[6:].strip())

    def _read_data(self, payload: bytes) -> None:
        while payload.startswith(b"data:"):  # some proxies prefix lines that have the prefix
            payload = payload[5:].lstrip()
        if self._is_error:
            self._error(payload)
        elif payload:
            self._read_whole(payload)

    def _read_whole(self, payload: bytes) -> None:
        """Read a payload, or hold it until its event is whole."""
        if self._held or not self._take_checked(payload):
            self._hold(payload)

    def _hold(self, payload: bytes) -> None:
        self._held.append(payload)
        self._held_size += len(payload) + _LINE_COST_BYTES
        self._check(self._held_size)

    def _end_event(self) -> None:
        self._is_error = False
        if self._held:
            payload = b"\n".join(self._held)
            self._held, self._held_size = [], 0
            if not self._take_checked(payload):
                raise self._fail("sent something that is not JSON")

    def _take_checked(self, payload: bytes) -> bool:
        if len(payload) > _DENSE_BYTES and sum(map(payload.count, (b",", b"{", b"["))) > _MAX_VALUES:
            raise self._fail(f"sent an event of more than {_MAX_VALUES} values")
        return self._take(payload)

    def _check(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise self._fail(f"sent an event of more than {MAX_EVENT_BYTES} bytes")
