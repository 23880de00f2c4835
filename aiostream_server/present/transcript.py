"""`transcript`: everything in the answer's text, as it happens, under one heading per speaker.

Markdown that reads well in a chat page and in a terminal alike. Tool calls and results are one complete `<details>`
block in one piece, or, `flat`, a heading and what they hold. A page shows the error itself.
"""

from collections import defaultdict
from collections.abc import Iterator

from aiostream_server.events import (
    Action,
    Answer,
    Dropped,
    Error,
    Event,
    InputRequested,
    Routing,
    Said,
    SpeechKind,
    Token,
    ToolResult,
)
from aiostream_server.events.breaks import without_breaks
from aiostream_server.events.model import Analysis, Message, Thinking, Validation
from aiostream_server.events.signs import ROUTING_SIGN, SPEECH_SIGNS
from aiostream_server.present.blocks import action_block, result_block
from aiostream_server.present.page import Page
from aiostream_server.present.shown import Channel, Shown
from aiostream_server.present.signs import error_line, input_line, is_one_line, routing_line


class Transcript:
    """One viewer's transcript of one run. Wants one message at a time: see `lanes.InTurn`."""

    __slots__ = ("_empty", "_flat", "_open", "_page", "_texts", "_words")

    def __init__(self, page: Page | None = None, *, flat: bool = False) -> None:
        self._page = page
        self._flat = flat
        self._empty = True
        self._open: tuple[str, SpeechKind] | None = None
        self._texts: set[str] = set()
        self._words: defaultdict[str, str] = defaultdict(str)

    def show(self, event: Event) -> Iterator[Shown]:
        match event:
            case Token():
                yield from self._token(event)
            case Thinking() | Validation() | Analysis() | Message() | Answer():
                yield from self._said(event)
            case Routing():
                yield self._paragraph(f"{ROUTING_SIGN} **{event.agent}** {routing_line(event)}")
            case Action():
                yield self._paragraph(action_block(event, self._page, flat=self._flat), is_block=not self._flat)
            case ToolResult():
                yield self._paragraph(result_block(event, self._page, flat=self._flat), is_block=not self._flat)
            case InputRequested():
                yield self._paragraph(input_line(event))
            case Error() if self._page is None:
                yield self._paragraph(error_line(event))
            case Dropped():
                yield self._paragraph("*… a part of this run is kept no longer …*")
            case _:
                pass  # run_started, usage and run_finished are no text

    def continued(self, token: Token) -> Channel | None:
        return "content" if self._open == (token.agent, token.kind) else None

    def _token(self, event: Token) -> Iterator[Shown]:
        if self._open == (event.agent, event.kind):
            yield Shown(event.content)
            return
        opened = self._paragraph(f"{_heading(event.agent, event.kind)}\n\n{event.content}")
        self._open = (event.agent, event.kind)
        yield opened

    def _said(self, event: Said) -> Iterator[Shown]:
        if event.content.strip() and not event.streamed and not self._is_repeated(event):
            yield self._paragraph(_whole_message(event))
        self._open = None
        text = without_breaks(event.content)
        self._texts.add(text.strip())
        if not isinstance(event, Thinking):
            self._words[event.agent] += text

    def _is_repeated(self, event: Said) -> bool:
        """The answer may have been shown as a message; if reasoning interrupted it, as several."""
        if not isinstance(event, Answer):
            return False
        text = without_breaks(event.content).strip()
        return text in self._texts or self._words[event.agent].strip().endswith(text)

    def _paragraph(self, text: str, *, is_block: bool = False) -> Shown:
        """Text apart from what stands before it; whatever was open is closed by it."""
        gap = "" if self._empty else "\n\n"
        self._empty, self._open = False, None
        return Shown(gap + text, is_block=is_block)


def _heading(agent: str, kind: SpeechKind) -> str:
    return f"{SPEECH_SIGNS[kind]} **{agent}**"


def _whole_message(event: Said) -> str:
    """A verdict is one line with its speaker; anything else has a heading of its own."""
    gap = " " if isinstance(event, Validation) and is_one_line(event.content) else "\n\n"
    return f"{_heading(event.agent, event.type)}{gap}{event.content}"
