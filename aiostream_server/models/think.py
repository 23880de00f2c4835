"""Splits streamed text into text and reasoning, for models that write `<think>...</think>` into their answer.

`<thinking>` is the same tag. Deltas may cut a tag anywhere; an unclosed block is reasoning to the end. A tag behind a
backtick or inside a ``` fence is text. The split does not depend on the cuts; it drops only the tags and the line ends
behind a closing tag. Best-known source of such text: https://huggingface.co/deepseek-ai/DeepSeek-R1
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from aiostream_server.models.provider import TextDelta, ThoughtDelta

Spoken: TypeAlias = TextDelta | ThoughtDelta

# An opening tag, the beginning of one at the end of the text, or a run of backticks.
_MARK: Final = re.compile(
    r"(?P<ticks>`+)|<(?P<tag>think(?:ing)?)>|(?P<cut><(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g)?)?)?)?)?)?)?)?\Z)"
)
_FENCE_TICKS: Final = 3


class ThinkSplitter:
    """One per model call: `feed` it every text delta, then `flush`."""

    __slots__ = ("_close", "_drop_line_ends", "_fence", "_pending", "_ticks")

    def __init__(self) -> None:
        self._close = ""  # the closing tag of the current thought; empty in text
        self._pending = ""  # held back: may be the beginning of a tag
        self._drop_line_ends = False
        self._ticks = 0  # length of the run of backticks at the end of the text
        self._fence = 0  # length of the run that opened the current fence

    def feed(self, delta: TextDelta) -> Sequence[Spoken]:
        """The parts of the held-back text and `delta` that are decided now."""
        text = delta.text
        if not self._pending and "<" not in text:
            if self._close:
                return (ThoughtDelta(text),)
            if "`" not in text and not self._ticks and not self._drop_line_ends:
                return (delta,)
        return self._split(self._pending + text)

    def flush(self) -> Sequence[Spoken]:
        """The held-back text at the end of the answer."""
        held, self._pending = self._pending, ""
        if not held:
            return ()
        return (ThoughtDelta(held) if self._close else TextDelta(held),)

    def _split(self, text: str) -> Sequence[Spoken]:
        self._pending = ""
        parts: list[Spoken] = []
        at = 0
        while at < len(text):
            at = self._read_thought(text, at, parts) if self._close else self._read_text(text, at, parts)
        return parts

    def _read_thought(self, text: str, start: int, parts: list[Spoken]) -> int:
        """Read past the closing tag, or to the end; return the next position."""
        end = text.find(self._close, start)
        if end >= 0:
            after = end + len(self._close)
            self._close, self._drop_line_ends, self._ticks = "", True, 0
        else:
            end, after = len(text) - _cut_tag_length(text, self._close, start), len(text)
            self._pending = text[end:]
        if end > start:
            parts.append(ThoughtDelta(text[start:end]))
        return after

    def _read_text(self, text: str, start: int, parts: list[Spoken]) -> int:
        """Read past the next opening tag, or to the end; return the next position."""
        if self._drop_line_ends:
            start = len(text) - len(text[start:].lstrip("\r\n"))
            self._drop_line_ends = start == len(text)
        end, after = self._find_opening(text, start)
        if end > start:
            parts.append(TextDelta(text[start:end]))
        return after

    def _find_opening(self, text: str, start: int) -> tuple[int, int]:
        """The end of the text before the next opening tag, and the position behind that tag."""
        seen = start  # the end of the last run of backticks, if there is one
        for mark in _MARK.finditer(text, start):
            if mark.start() > seen:
                self._end_ticks()
            seen = mark.end()
            if mark["ticks"]:
                self._ticks += len(mark["ticks"])
            elif self._ticks or self._fence:
                self._end_ticks()  # a quoted tag: text
            elif mark["tag"]:
                self._close = f"</{mark['tag']}>"
                return mark.start(), mark.end()
            else:
                self._pending = mark["cut"]
                return mark.start(), len(text)
        if seen < len(text):
            self._end_ticks()
        return len(text), len(text)

    def _end_ticks(self) -> None:
        """End a run of backticks: three or more open a fence, or close one that as many or fewer opened."""
        if self._ticks >= _FENCE_TICKS:
            if not self._fence:
                self._fence = self._ticks
            elif self._ticks >= self._fence:
                self._fence = 0
        self._ticks = 0


def _cut_tag_length(text: str, tag: str, start: int) -> int:
    """How many characters at the end of `text` are a prefix of `tag`."""
    longest = min(len(tag) - 1, len(text) - start)
    return next((size for size in range(longest, 0, -1) if text.endswith(tag[:size])), 0)
