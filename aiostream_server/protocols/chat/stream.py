"""A run as the frames of a chat stream.

A failure after the headers is told by the last chunk: `error` beside a choice with `finish_reason: "error"`. This is
OpenRouter's form: the `openai` package raises on it, and the AI SDK ends with `error`. Open WebUI ignores an error
beside choices, so its pages get it in a frame of its own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from aiostream_server.events import Answer, Entry, Error, Event, RunFinished, SpeechKind, Token
from aiostream_server.intake.json_text import quote
from aiostream_server.present.page_errors import in_plain_words
from aiostream_server.present.shown import Presenter, Shown
from aiostream_server.present.status import SILENCE_S
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.errors import error_frame
from aiostream_server.protocols.chat.open_webui import PageFrames
from aiostream_server.protocols.chat.tool_calls import Calls, tool_call_deltas, tool_call_of
from aiostream_server.protocols.chat.whole import wire_finish_reason
from aiostream_server.protocols.error_at_end import error_at_end
from aiostream_server.sse.frames import DONE, data_frame

_MAX_DELTA_CHARS: Final = 4_000
_MAX_BLOCK_FRAME_BYTES: Final = 60_000  # Open WebUI 0.6 ends a turn over a line of 128 KiB


@dataclass(slots=True)
class _OpenMessage:
    """The message that takes tokens as they are, and what stands around the text of each."""

    agent: str
    kind: SpeechKind
    before: str
    behind: str
    is_mid_line: bool = True
    """Else the presenter has to see how the next line begins."""


class ChatFrames:
    """`protocols.dialect.TimedFrames` of one viewer.

    With `page` (Open WebUI): status and source events are added, text that is sent at once is merged into one delta
    (Open WebUI renders the whole text anew for each), and usage is always sent.
    """

    __slots__ = (
        "_answer",
        "_called",
        "_calls",
        "_encoder",
        "_error",
        "_include_usage",
        "_open",
        "_page",
        "_presenter",
    )

    def __init__(
        self,
        presenter: Presenter,
        encoder: ChunkEncoder,
        *,
        include_usage: bool,
        calls: Calls = None,
        page: PageFrames | None = None,
    ) -> None:
        self._presenter = presenter
        self._encoder = encoder
        self._include_usage = include_usage or page is not None
        self._calls = calls
        self._called = 0
        self._page = page
        self._open: _OpenMessage | None = None
        self._answer = ""
        self._error: Error | None = None

    def opening(self, *, at_end: bool) -> bytes:
        return data_frame(self._encoder.role())

    def encode(self, entries: Sequence[Entry]) -> bytes:
        """Empty where these entries show nothing."""
        if self._page is not None:
            return b"".join(self._merged(each for entry in entries for each in self._made(entry)))
        frames: list[bytes] = []
        for entry in entries:
            event = entry.event
            token = self.encode_tokens(event.agent, event.kind, (event.content,)) if isinstance(event, Token) else None
            if token is not None or (token := self._token(event)) is not None:
                frames.append(token)
            else:
                self._open = None
                frames += map(self._frames, self._made(entry))
        return b"".join(frames)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        message = self._open
        if message is None or not message.is_mid_line or message.agent != agent or message.kind != kind:
            return None
        frames: list[str] = []
        for text in texts:
            if len(text) > _MAX_DELTA_CHARS or "\n" in text or "\r" in text:  # a line's beginning needs the presenter
                return None
            frames += message.before, quote(text), message.behind
        return "".join(frames).encode("ascii")

    @property
    def silence_s(self) -> float:
        return math.inf if self._page is None else SILENCE_S

    def silence(self, now: float) -> bytes:
        made: Iterator[Shown | bytes] = chain(
            () if self._page is None else self._page.silence(now), self._presenter.overdue()
        )
        return b"".join(map(self._frames, made))

    def _token(self, event: Event) -> bytes | None:
        """The short way, which most tokens take; None for an event that needs the presenter."""
        if not isinstance(event, Token) or len(event.content) > _MAX_DELTA_CHARS:
            return None
        channel = self._presenter.continued(event)
        if channel is None:
            return None
        message = self._open
        if message is None or message.agent != event.agent or message.kind != event.kind:
            before, *between, behind = self._encoder.around(channel)
            if between:  # the text stands in several fields
                self._open = None
                return data_frame(quote(event.content).join((before, *between, behind)))
            message = self._open = _OpenMessage(event.agent, event.kind, f"data: {before}", f"{behind}\n\n")
        message.is_mid_line = not event.content.endswith(("\n", "\r"))
        return f"{message.before}{quote(event.content)}{message.behind}".encode("ascii")

    def _made(self, entry: Entry) -> Iterator[Shown | bytes]:
        """Text to show, and frames, in the order in which they are sent."""
        event, at = entry.event, entry.timestamp
        is_last = isinstance(event, RunFinished)
        if self._page is not None and not is_last:
            yield from self._page.statuses(event, at)
        shown = self._presenter.show(event)
        if self._page is None or (self._page.is_in_text and isinstance(event, Token)):
            yield from shown  # fast path: nothing to note of it
        else:
            yield from self._page.noted(event, shown)
            yield from self._page.sources(event)
        if (call := tool_call_of(event, self._encoder.completion_id, self._calls)) is not None:
            deltas = tool_call_deltas(call, self._called, _MAX_DELTA_CHARS)
            self._called += 1
            yield from map(data_frame, map(self._encoder.tool_call, deltas))
        elif isinstance(event, Error):
            self._error = event
        elif isinstance(event, Answer):
            self._answer = event.content
        elif isinstance(event, RunFinished):
            if self._page is not None:
                yield from self._page.ending(event.reason, self._error)
            yield from self._ending(event, at)
            yield DONE

    def _ending(self, event: RunFinished, at: float) -> Iterator[bytes]:
        error, usage = error_at_end(event.reason, self._error), b""
        if self._include_usage:
            usage = data_frame(self._encoder.usage(event.usage))
        if error is None:
            if event.reason == "refusal":
                yield from (data_frame(self._encoder.refusal(piece)) for piece in _pieces(self._answer))
            called = self._calls if self._called else None
            yield data_frame(self._encoder.finish(wire_finish_reason(event.reason, called))) + usage
        elif self._page is None:
            yield usage + data_frame(self._encoder.failed(error))  # behind the usage: clients stop reading here
        else:
            told = in_plain_words(error.code, error.message, retry_after_s=error.retry_after_s, lasting=error.lasting)
            yield data_frame(error_frame(told, code=error.code))
            yield data_frame(self._encoder.finish("error")) + usage
        if self._page is not None:
            yield from self._page.statuses(event, at)

    def _merged(self, made: Iterator[Shown | bytes]) -> Iterator[bytes]:
        """Join adjacent pieces of text of one channel."""
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
        """Long text as several chunks; a block as one, unless its line would be too long for clients."""
        encode = self._encoder.content if shown.channel == "content" else self._encoder.reasoning
        whole = data_frame(encode(shown.text))
        if len(shown.text) <= _MAX_DELTA_CHARS or (shown.is_block and len(whole) <= _MAX_BLOCK_FRAME_BYTES):
            yield whole
            return
        for piece in _pieces(shown.text):
            yield data_frame(encode(piece))


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _MAX_DELTA_CHARS] for start in range(0, len(text), _MAX_DELTA_CHARS))
