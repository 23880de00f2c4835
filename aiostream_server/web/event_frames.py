"""One run's events -> the bytes of a stream of typed events, the same for every viewer."""

from collections.abc import Sequence
from typing import Final

from aiostream_server.events import Entry, SpeechKind
from aiostream_server.events.codec import encode_entry
from aiostream_server.log.protocol import Reader
from aiostream_server.sse.frames import event_frame, retry_frame

_RECONNECT_AFTER_MS: Final = 1_000


class EventFrames:
    """Each entry is one event, with its type and its number. Nothing stands behind the last: `run_finished` says so."""

    __slots__ = ("_reader", "_run_id")

    def __init__(self, run_id: str, reader: Reader) -> None:
        self._run_id = run_id
        self._reader = reader

    def opening(self) -> bytes:
        """How to reconnect; nothing where there is nothing left to read."""
        return b"" if self._reader.at_end else retry_frame(_RECONNECT_AFTER_MS)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> None:
        """Their numbers and times stand in their entries only."""

    def encode(self, entries: Sequence[Entry]) -> bytes:
        return b"".join(
            event_frame(entry.event.type, entry.seq, encode_entry(self._run_id, entry)) for entry in entries
        )
