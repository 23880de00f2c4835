"""Marks lines of an agent that imitate ours: headings of speakers, routing decisions, errors, remarks and blocks.

A reader cannot tell `✅ **Assistant**` of an agent's text from the heading of the agent Assistant, and neither can
`intake.undecorate`, which would take it out of the history. So a line that begins as one of ours begins with `QUOTE`: a
page shows it as a quotation. `events.breaks.without_quotes` restores what the agent said.

Characters that show nothing, and entities of HTML, do not hide an imitation.

Only a line's first characters decide. In the middle of a line a token without a line end costs one comparison.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aiostream_server.events import SPEECHES, Action, Error, InputRequested, Notice, Routing, Token, ToolResult
from aiostream_server.events.breaks import BREAK, QUOTE
from aiostream_server.present.parts import Closed, Opened, Part
from aiostream_server.present.shown import Channel, Shown, View
from aiostream_server.present.transcript import is_beside_heading

_BOLD: Final = "".join({kind.sign for kind in (*SPEECHES.values(), Action, ToolResult, InputRequested, Notice)})
_PLAIN: Final = f"{Error.sign}{Routing.sign}"  # any text may follow these
# What shows nothing: spaces, controls, and characters of Unicode's formats, fillers and variation selectors.
_NOTHING: Final = (
    *((0x00, 0x09), (0x0B, 0x0C), (0x0E, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C)),
    *((0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F)),
    *((0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
    *((0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F), (0xE0100, 0xE01EF)),
)
_CLASS: Final = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _NOTHING)
_BLANK: Final = rf"(?:[{_CLASS}]|&#?\w{{1,32}};)"
"""Such a character, or an entity of HTML, which Markdown replaces."""
_INDENT: Final = rf"[ \t]{{0,200}}+{_BLANK}{{0,16}}"
_GAP: Final = rf"{_BLANK}{{0,16}}"
_PART_OF_ENTITY: Final = r"(?:&#?\w{0,32})?"


def _one_of(signs: str) -> str:
    """Each as it is, or as an entity."""
    numbers = "|".join(rf"0{{0,9}}{ord(sign)}|[xX]0{{0,9}}(?i:{ord(sign):x})" for sign in signs)
    return f"(?:[{signs}]|&#(?:{numbers});)"


_IMITATION: Final = re.compile(rf"{_INDENT}(?:{_one_of(_BOLD)}{_GAP}[*_]|{_one_of(_PLAIN)}{_BLANK})|{QUOTE}")
_BLOCK: Final = re.compile(r"([ \t]{0,3}<)(?=details)", re.IGNORECASE)
_MAYBE: Final = re.compile(
    rf"(?:{_INDENT}(?:(?:{_one_of(_BOLD)}{_GAP}|{_one_of(_PLAIN)})?{_PART_OF_ENTITY}"
    r"|<(?:d(?:e(?:t(?:a(?:il?)?)?)?)?)?)|> ?)\Z",
    re.IGNORECASE,
)
_FIRST: Final = frozenset(
    "<>&",
).union(_BOLD, _PLAIN, *(map(chr, range(first, last + 1)) for first, last in _NOTHING))
"""What such a line may begin with."""
_LINE_END: Final = re.compile(r"[\r\n]")
_MAYBE_IMITATION: Final = re.compile(rf"[\r\n][{re.escape(''.join(sorted(_FIRST)))}]")


class Quoter:
    """Marks the lines of one message that is streamed: `feed` its pieces, then `end` it.

    It holds back the beginning of a line until it is known whether it imitates one of ours. `mid_line`: the message
    begins within a line.
    """

    __slots__ = ("_held", "begins_line")

    def __init__(self, *, mid_line: bool = False) -> None:
        self.begins_line = not mid_line
        self._held = ""

    def feed(self, text: str) -> str:
        """The text that can be shown now."""
        if not self.begins_line and "\n" not in text and "\r" not in text:
            return text
        return self._run(self._held + text, is_all=False)

    def passes(self, text: str) -> bool:
        """Whether `feed` would return the text as it is. Then the text counts as fed."""
        if not self.begins_line and "\n" not in text and "\r" not in text:
            return True
        if self._held or (self.begins_line and text[:1] in _FIRST) or _MAYBE_IMITATION.search(text):
            return False
        self.begins_line = text.endswith(("\n", "\r"))
        return True

    def end(self) -> str:
        """The rest."""
        return self._run(self._held, is_all=True)

    def _run(self, text: str, *, is_all: bool) -> str:
        self._held = ""
        shown: list[str] = []
        at = 0
        while at < len(text):
            if self.begins_line and text[at] in _FIRST:
                if not is_all and _MAYBE.match(text, at):
                    self._held = text[at:]
                    break
                self.begins_line = False
                if _IMITATION.match(text, at):
                    shown.append(QUOTE)
                elif block := _BLOCK.match(text, at):
                    shown += (block[1], BREAK)
                    at = block.end()
            end = _LINE_END.search(text, at)
            self.begins_line = end is not None
            after = end.end() if end else len(text)
            shown.append(text[at:after])
            at = after
        return "".join(shown)


class QuotedView:
    """Marks what agents say for another view."""

    __slots__ = ("_quoter", "_view", "_whole")

    def __init__(self, view: View) -> None:
        self._view = view
        self._quoter = Quoter()
        self._whole = False

    def show(self, part: Part) -> Iterator[Shown]:
        match part:
            case Token():
                text = self._quoter.feed(part.content) + (self._quoter.end() if self._whole else "")
                return (
                    self._view.show(part if text == part.content else replace(part, content=text)) if text else iter(())
                )
            case Opened():
                self._quoter, self._whole = Quoter(mid_line=is_beside_heading(part)), part.whole is not None
            case Closed() if rest := self._quoter.end():
                return self._show_rest(part, rest)
        return self._view.show(part)

    def channel(self, token: Token) -> Channel | None:
        channel = self._view.channel(token)
        return channel if channel is not None and self._quoter.passes(token.content) else None

    def _show_rest(self, part: Closed, rest: str) -> Iterator[Shown]:
        yield from self._view.show(Token(part.agent, rest, part.kind))
        yield from self._view.show(part)


def quoted(text: str) -> str:
    """A whole message."""
    quoter = Quoter()
    return quoter.feed(text) + quoter.end()
