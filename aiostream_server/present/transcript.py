"""`transcript`: everything in the answer's text, as it happens, under one heading per speaker.

The Markdown reads well in a chat page and in a terminal. A tool call or its result is one complete `<details>` block in
one piece; with `flat`, a heading and its text. On a page errors are left out, because the page shows them itself, and a
call and its result are one block where nothing comes between and the result comes soon: the status line tells of the
call meanwhile.
"""

from collections.abc import Iterator
from typing import assert_never

from aiostream_server.events import (
    SPEECHES,
    Action,
    ActionToken,
    Dropped,
    Error,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    Token,
    ToolRequested,
    ToolResult,
    Validation,
)
from aiostream_server.present.blocks import answered_block, tool_block
from aiostream_server.present.escaping import Page
from aiostream_server.present.parts import Closed, Opened, Part
from aiostream_server.present.shown import Channel, Paragraphs, Shown


class Transcript:
    """A view of everything that a run does."""

    __slots__ = ("_answered_by", "_call", "_continues", "_flat", "_heading", "_is_repeated", "_page", "_paragraphs")

    def __init__(self, page: Page | None = None, *, flat: bool = False) -> None:
        self._page = page
        self._flat = flat
        self._paragraphs = Paragraphs()
        self._heading = ""  # of the open message, until its first text
        self._is_repeated = False
        self._answered_by: str | None = None  # the agent of the answer that was shown last, with nothing after it
        self._continues = False
        self._call: Action | None = None  # waits for its result

    def show(self, part: Part) -> Iterator[Shown]:
        call, self._call = self._call, None
        if call is not None:
            if isinstance(part, ToolResult) and part.call_id == call.call_id:
                yield self._paragraphs.begin(answered_block(call, part, self._page), is_block=True)
                return
            yield self._paragraphs.begin(tool_block(call, self._page), is_block=True)
        yield from self._show(part)

    def overdue(self) -> Iterator[Shown]:
        call, self._call = self._call, None
        if call is not None:
            yield self._paragraphs.begin(tool_block(call, self._page), is_block=True)

    def _show(self, part: Part) -> Iterator[Shown]:
        if not isinstance(part, Token | Opened):
            self._answered_by = part.agent if isinstance(part, Closed) and part.kind == "final" else None
        match part:
            case Token():
                yield from self._text(part.content)
            case Opened():
                self._continues = part.kind == "final" and part.whole is None and part.agent == self._answered_by
                self._heading, self._is_repeated = "" if self._continues else _heading(part), part.is_repeated
            case Closed():
                self._heading, self._is_repeated = "", False
            case Action() if self._page is not None and not self._flat:
                self._call = part
            case Action() | ToolResult():
                block = tool_block(part, self._page, flat=self._flat)
                yield self._paragraphs.begin(block, is_block=not self._flat)
            case Error() if self._page is not None:
                pass
            case Routing() | InputRequested() | Notice() | Dropped() | Restarted() | Error():
                yield self._paragraphs.begin(event_line(part))
            case ActionToken() | ToolRequested() | RunFinished():
                pass  # a protocol shows the call in a field of its own
            case _:
                assert_never(part)

    def channel(self, token: Token) -> Channel:
        return "content"

    def _text(self, text: str) -> Iterator[Shown]:
        if self._heading:
            heading, self._heading = self._heading, ""
            yield self._paragraphs.begin(heading + text)
        elif self._continues:
            self._continues = False
            yield self._paragraphs.begin(text)
        elif not self._is_repeated:
            yield Shown(text)


def is_beside_heading(opened: Opened) -> bool:
    """Whether the message stands in the line of its heading: a verdict of one line does."""
    verdict = opened.whole
    return isinstance(verdict, Validation) and "\n" not in verdict.content and "\r" not in verdict.content


def _heading(opened: Opened) -> str:
    if opened.is_repeated:
        return ""
    gap = " " if is_beside_heading(opened) else "\n\n"
    return f"{SPEECHES[opened.kind].sign} **{opened.agent}**{gap}"


def event_line(event: Routing | InputRequested | Notice | Dropped | Restarted | Error) -> str:
    match event:
        case Routing():
            return f"{event.sign} **{event.agent}** {_routing_words(event)}"
        case InputRequested():
            return f"{event.sign} *{event.agent} waits for your answer*"
        case Notice():
            return notice_line(event)
        case Dropped():
            return "*… a part of this run is kept no longer …*"
        case Restarted():
            return restart_line(event)
        case Error():
            return error_line(event)
        case _:
            assert_never(event)


def error_line(error: Error) -> str:
    return f"{error.sign} {error.message}"


def restart_line(event: Restarted) -> str:
    return f"{event.sign} *{event.content}*"


def notice_line(notice: Notice) -> str:
    return f"{notice.sign} *{notice.content}*"


def _routing_words(event: Routing) -> str:
    """`→ Data analysis (rules, 92 %): asks for totals by region`, or the event's own words before the choice."""
    if event.team is None:
        return event.content
    sure = "" if event.confidence is None else f", {event.confidence:.0%}".replace("%", " %")
    reason = f": {event.content}" if event.content else ""
    return f"→ {event.team_name or event.team} ({event.strategy or 'chosen'}{sure}){reason}"
