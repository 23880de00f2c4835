"""One run's events -> the bytes of an OpenAI chat stream, for one viewer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiostream_server.events import Entry, Error, Event, RunFinished, SpeechKind, Token
from aiostream_server.present.shown import Presenter, Shown
from aiostream_server.sse.frames import DONE, data_frame
from aiostream_server.web.page_frames import PageFrames
from aiostream_server.wire.completion import ChunkEncoder, error_frame, wire_finish_reason
from aiostream_server.wire.json_text import quote

_MAX_DELTA_CHARS: Final = 4_000
_MAX_BLOCK_FRAME_BYTES: Final = 60_000  # Open WebUI 0.6 ends a turn over a line of 128 KiB


@dataclass(slots=True)
class _Voice:
    """Whose tokens are shown as they are, and what stands around the text of each."""

    agent: str
    kind: SpeechKind
    before: str
    behind: str


class ChatFrames:
    """Feed it every entry of the log, in order; `opening` comes before the first.

    For Open WebUI, with `page`: what its page shows beside the text rides along, text that is sent at once is one
    delta (it renders everything anew for each), and usage is always told.
    """

    __slots__ = ("_encoder", "_going_on", "_include_usage", "_page", "_presenter")

    def __init__(
        self, presenter: Presenter, encoder: ChunkEncoder, *, include_usage: bool, page: PageFrames | None = None
    ) -> None:
        self._presenter = presenter
        self._encoder = encoder
        self._include_usage = include_usage or page is not None
        self._page = page
        self._going_on: _Voice | None = None  # whose tokens may be taken as they are

    def opening(self) -> bytes:
        return data_frame(self._encoder.role())

    def encode(self, entries: Sequence[Entry]) -> bytes:
        """All frames that these entries make; empty where they show nothing."""
        if self._page is not None:
            return b"".join(self._merged(each for entry in entries for each in self._made(entry.event)))
        frames: list[bytes] = []
        for entry in entries:
            if (token := self._token(entry.event)) is not None:
                frames.append(token)
            else:
                self._going_on = None
                frames += map(self._frames, self._made(entry.event))
        return b"".join(frames)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        if (voice := self._going_on) is None or voice.agent != agent or voice.kind != kind:
            return None
        frames: list[str] = []
        for text in texts:
            if len(text) > _MAX_DELTA_CHARS:
                return None
            frames += voice.before, quote(text), voice.behind
        return "".join(frames).encode("ascii")

    def _token(self, event: Event) -> bytes | None:
        """The short way of most tokens; None for whatever has to take the long one."""
        if not isinstance(event, Token) or len(event.content) > _MAX_DELTA_CHARS:
            return None
        channel = self._presenter.continued(event)
        if channel is None:
            return None
        before, behind = self._encoder.around(channel)
        self._going_on = _Voice(event.agent, event.kind, f"data: {before}", f"{behind}\n\n")
        encode = self._encoder.content if channel == "content" else self._encoder.reasoning
        return data_frame(encode(event.content))

    def _made(self, event: Event) -> Iterator[Shown | bytes]:
        """Text to show, and frames, in the order in which they are sent."""
        is_last = isinstance(event, RunFinished)
        if self._page is not None and not is_last:
            yield from self._page.statuses(event)
        yield from self._presenter.show(event)
        if self._page is not None:
            yield from self._page.sources(event)
        if isinstance(event, Error):
            yield data_frame(error_frame(event.message, code=event.code))
        elif isinstance(event, RunFinished):
            yield data_frame(self._encoder.finish(wire_finish_reason(event.reason)))
            if self._include_usage:
                yield data_frame(self._encoder.usage(event.usage))
            if self._page is not None:
                yield from self._page.statuses(event)
            yield DONE

    def _merged(self, made: Iterator[Shown | bytes]) -> Iterator[bytes]:
        """Pieces of text that follow one another go as one."""
        texts: list[str] = []
        first: Shown | None = None
        for each in made:
            if first is not None and isinstance(each, Shown) and not each.is_block and each.channel == first.channel:
                texts.append(each.text)
                continue
            if first is not None:
                yield self._frames(replace(first, text="".join(texts)))
                first = None
            if isinstance(each, Shown) and not each.is_block:
                first, texts = each, [each.text]
            else:
                yield self._frames(each)
        if first is not None:
            yield self._frames(replace(first, text="".join(texts)))

    def _frames(self, made: Shown | bytes) -> bytes:
        return made if isinstance(made, bytes) else b"".join(self._deltas(made))

    def _deltas(self, shown: Shown) -> Iterator[bytes]:
        """Long text in several chunks; a block in one, unless that would be more than clients take."""
        encode = self._encoder.content if shown.channel == "content" else self._encoder.reasoning
        whole = data_frame(encode(shown.text))
        if len(shown.text) <= _MAX_DELTA_CHARS or (shown.is_block and len(whole) <= _MAX_BLOCK_FRAME_BYTES):
            yield whole
            return
        for start in range(0, len(shown.text), _MAX_DELTA_CHARS):
            yield data_frame(encode(shown.text[start : start + _MAX_DELTA_CHARS]))
