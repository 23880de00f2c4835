"""One run's events -> the bytes of an OpenAI chat stream, for one viewer."""

from collections.abc import Iterator, Sequence
from typing import Final

from aiostream_server.events import Entry, Error, Event, RunFinished
from aiostream_server.present.shown import Presenter, Shown
from aiostream_server.sse.frames import DONE, data_frame
from aiostream_server.wire.completion import ChunkEncoder, error_frame, wire_finish_reason

_MAX_DELTA_CHARS: Final = 4_000
_MAX_BLOCK_FRAME_BYTES: Final = 60_000  # Open WebUI 0.6 ends a turn over a line of 128 KiB


class ChatFrames:
    """Feed it every entry of the log, in order; `opening` comes before the first."""

    def __init__(self, presenter: Presenter, encoder: ChunkEncoder, *, include_usage: bool) -> None:
        self._presenter = presenter
        self._encoder = encoder
        self._include_usage = include_usage

    def opening(self) -> bytes:
        return data_frame(self._encoder.role())

    def encode(self, entries: Sequence[Entry]) -> bytes:
        """All frames that these entries make; empty where they show nothing."""
        return b"".join(frame for entry in entries for frame in self._frames(entry.event))

    def _frames(self, event: Event) -> Iterator[bytes]:
        for shown in self._presenter.show(event):
            yield from self._deltas(shown)
        if isinstance(event, Error):
            yield data_frame(error_frame(event.message, code=event.code))
        elif isinstance(event, RunFinished):
            yield data_frame(self._encoder.finish(wire_finish_reason(event.reason)))
            if self._include_usage:
                yield data_frame(self._encoder.usage(event.usage))
            yield DONE

    def _deltas(self, shown: Shown) -> Iterator[bytes]:
        """Long text in several chunks; a block in one, unless that would be more than clients take."""
        encode = self._encoder.content if shown.channel == "content" else self._encoder.reasoning
        whole = data_frame(encode(shown.text))
        if len(shown.text) <= _MAX_DELTA_CHARS or (shown.is_block and len(whole) <= _MAX_BLOCK_FRAME_BYTES):
            yield whole
            return
        for start in range(0, len(shown.text), _MAX_DELTA_CHARS):
            yield data_frame(encode(shown.text[start : start + _MAX_DELTA_CHARS]))
