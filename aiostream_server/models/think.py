"""Tells what a model says from what it thinks, where it writes its reasoning into its text as `<think>...</think>`.

`<thinking>` is the same tag. Tags may be cut anywhere between deltas, there may be any number of blocks, and one that
is never closed is thought to the end. A tag right behind a backtick, or inside a ``` fence, is talked about: text.
However a text is cut, the split is the same; nothing is dropped but the tags, and the line ends right behind a closing
one. https://huggingface.co/deepseek-ai/DeepSeek-R1 is the best-known source of such text.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from aiostream_server.models.provider import TextDelta, ThoughtDelta

Spoken: TypeAlias = TextDelta | ThoughtDelta

# What matters in text: an opening tag, the beginning of one at the very end, a run of backticks.
_MARK: Final = re.compile(
    r"(?P<ticks>`+)|<(?P<tag>think(?:ing)?)>|(?P<cut><(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g)?)?)?)?)?)?)?)?\Z)"
)
_FENCE_TICKS: Final = 3


class ThinkSplitter:
    """One per model call: `feed` every text delta, `flush` at the end."""

    __slots__ = ("_close", "_drop_line_ends", "_fence", "_pending", "_ticks")

    def __init__(self) -> None:
        self._close = ""  # the closing tag that ends the thought we are in, empty in text
        self._pending = ""  # the beginning of a tag, perhaps
        self._drop_line_ends = False
        self._ticks = 0  # length of the run of backticks that the text ends with, so far
        self._fence = 0  # length of the run that opened the fence we are in

    def feed(self, delta: TextDelta) -> Sequence[Spoken]:
        """The parts of `delta`, and of what was held back before it, that are certain now."""
        text = delta.text
        if not self._pending and "<" not in text:
            if self._close:
                return (ThoughtDelta(text),)
            if "`" not in text and not self._ticks and not self._drop_line_ends:
                return (delta,)
        return self._split(self._pending + text)

    def flush(self) -> Sequence[Spoken]:
        """What was held back as the beginning of a tag, and was none."""
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
        """Read up to and over the closing tag, or to the end; return where to go on."""
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
        """Read up to and over the next opening tag, or to the end; return where to go on."""
        if self._drop_line_ends:
            start = len(text) - len(text[start:].lstrip("\r\n"))
            self._drop_line_ends = start == len(text)
        end, after = self._find_opening(text, start)
        if end > start:
            parts.append(TextDelta(text[start:end]))
        return after

    def _find_opening(self, text: str, start: int) -> tuple[int, int]:
        """Where the text before the next opening tag ends, and where the text behind that tag begins."""
        seen = start  # the run of backticks, if there is one, ends here
        for mark in _MARK.finditer(text, start):
            if mark.start() > seen:
                self._end_ticks()
            seen = mark.end()
            if mark["ticks"]:
                self._ticks += len(mark["ticks"])
            elif self._ticks or self._fence:
                self._end_ticks()  # a tag that is being talked about
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
        """A run of backticks is over: a long one opens a fence, or closes one that was opened by no more of them."""
        if self._ticks >= _FENCE_TICKS:
            if not self._fence:
                self._fence = self._ticks
            elif self._ticks >= self._fence:
                self._fence = 0
        self._ticks = 0


def _cut_tag_length(text: str, tag: str, start: int) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    longest = min(len(tag) - 1, len(text) - start)
    return next((size for size in range(longest, 0, -1) if text.endswith(tag[:size])), 0)
