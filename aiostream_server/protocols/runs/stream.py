"""A run as its typed events: server-sent events with a type and a number, the same for every viewer."""

from collections.abc import Sequence
from typing import Final

from aiostream_server.events import Entry, SpeechKind
from aiostream_server.events.codec import encode_entry
from aiostream_server.sse.frames import event_frame, retry_frame

_RECONNECT_AFTER_MS: Final = 1_000


class EventFrames:
    """`protocols.dialect.Frames`: one event per entry. The last one is `run_finished`; no `[DONE]` follows."""

    __slots__ = ("_run_id",)

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def opening(self, *, at_end: bool) -> bytes:
        """The delay before a reconnect; nothing where there is nothing left to reconnect for."""
        return b"" if at_end else retry_frame(_RECONNECT_AFTER_MS)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> None:
        """Always None: the number and the time of a token stand in its entry only."""

    def encode(self, entries: Sequence[Entry]) -> bytes:
        return b"".join(
            event_frame(entry.event.type, entry.seq, encode_entry(self._run_id, entry)) for entry in entries
        )
