"""A run as one response, whole or as far as it has come."""

from collections.abc import Sequence
from typing import Final

from aiostream_server.errors import ShuttingDown, error_for
from aiostream_server.events import Entry, Error, RunFinished
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.protocols.responses.kept import read_kept
from aiostream_server.protocols.responses.output import Output
from aiostream_server.protocols.responses.response import ResponseText
from aiostream_server.runs.card import RunCard


class ResponseCollector:
    """`protocols.dialect.Collector`.

    `raises`: the caller waits for the answer, and a failure is an error of its own status. Otherwise it is a response
    with the status `failed`.
    """

    def __init__(self, card: RunCard, view: DisplayOptions, *, raises: bool = True) -> None:
        kept = read_kept(card.kept)
        self._is_background: Final = kept.is_background
        self._raises: Final = raises
        self._response: Final = ResponseText(card, kept)
        self._output: Final = Output(card.id, view, kept)
        self._error: Error | None = None
        self._last: Entry | None = None

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(error := entry.event, Error):
                self._error = error
                if self._raises:
                    raise error_for(error.code, error.message, retry_after_s=error.retry_after_s, at=entry.timestamp)
            for _ in self._output.show(entry.event):
                pass
            self._last = entry

    def body(self) -> bytes:
        output = ",".join(self._output.writer.written)
        if self._last is None:
            text = self._response.unfinished("queued" if self._is_background else "in_progress")
        elif isinstance(end := self._last.event, RunFinished):
            if end.reason == "interrupted" and self._raises:  # half an answer must not look like a whole one
                raise ShuttingDown
            text = self._response.finished(end, self._last.timestamp, self._error, output)
        else:
            text = self._response.unfinished("in_progress", output)
        return text.encode("ascii")
