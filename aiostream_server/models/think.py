"""Splits streamed text into text and reasoning, for models that write `<think>...</think>` into their answer.

`<thinking>` is the same tag. Deltas may cut a tag anywhere; an unclosed block is reasoning to the end. A tag behind a
backtick or inside a ``` fence is text. The split does not depend on the cuts; it drops only the tags and the line ends
behind a closing tag. Best-known source of such text: https://huggingface.co/deepseek-ai/DeepSeek-R1

Some chat templates write the opening tag themselves, and the answer has only the closing one (vllm-project/vllm#13125).
`LoneClosingTag` says that the text before it was reasoning. A model that is known to answer so begins in a thought.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from aiostream_server.models.provider import TextDelta, ThoughtDelta

Spoken: TypeAlias = TextDelta | ThoughtDelta


class LoneClosingTag(msgspec.Struct, frozen=True, gc=False):
    """A closing `tag` without an opening one: all text before it was reasoning. At most once in an answer."""

    tag: str


Split: TypeAlias = Spoken | LoneClosingTag

# A tag, the beginning of one at the end of the text, or a run of backticks.
_MARK: Final = re.compile(
    r"(?P<ticks>`+)|<(?P<tag>think(?:ing)?)>|(?P<close></think(?:ing)?>)"
    r"|(?P<cut></?(?:t(?:h(?:i(?:n(?:k(?:i(?:n(?:g)?)?)?)?)?)?)?)?\Z)"
)
_OPENING: Final = ("<think>", "<thinking>")
_FENCE_TICKS: Final = 3


@dataclass(slots=True)
class ThinkingHabit:
    """Whether a model's text begins in a thought, which `closing_tag` ends: as configured, or as the last one did."""

    closing_tag: str = ""
    is_configured: bool = False

    def learn(self, unopened: str, *, was_no_thought: bool) -> bool:
        """Learn from an answer with an `unopened` closing tag, or without the expected thought; whether it was new."""
        if self.is_configured or not (unopened or was_no_thought) or unopened == self.closing_tag:
            return False
        self.closing_tag = unopened
        return True


class ThinkSplitter:
    """One per model call: `feed` it every text delta, then `flush`."""

    __slots__ = (
        "_close",
        "_drop_line_ends",
        "_fence",
        "_has_thought",
        "_is_undecided",
        "_pending",
        "_ticks",
        "is_apart",
        "is_supposed",
    )

    def __init__(self, closing_tag: str = "") -> None:
        """With a `closing_tag` the text begins in a thought, unless it opens one itself."""
        self.is_supposed = bool(closing_tag)  # the text is a thought only because the answer should begin with one
        self.is_apart = False  # the provider sends reasoning apart from the text
        self._is_undecided = bool(closing_tag)  # nothing of that thought was read
        self._has_thought = False  # one began or ended
        self._close = closing_tag  # of the current thought; empty in text
        self._pending = ""  # held back: may be the beginning of a tag
        self._drop_line_ends = False
        self._ticks = 0  # length of the run of backticks at the end of the text
        self._fence = 0  # length of the run that opened the current fence

    def begin_text(self) -> None:
        """The provider sends reasoning apart: the text itself does not begin with any."""
        self.is_apart = self._has_thought = True
        if self._is_undecided:
            self._close, self._is_undecided, self.is_supposed = "", False, False

    def feed(self, delta: TextDelta) -> Sequence[Split]:
        """The parts of the held-back text and `delta` that are decided now."""
        text = delta.text
        if not self._pending and "<" not in text and not self._is_undecided:
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

    def _split(self, text: str) -> Sequence[Split]:
        self._pending = ""
        parts: list[Split] = []
        at = self._begin(text) if self._is_undecided else 0
        while at < len(text):
            at = self._read_thought(text, at, parts) if self._close else self._read_text(text, at, parts)
        return parts

    def _begin(self, text: str) -> int:
        """Pass over an opening tag that the model wrote all the same."""
        begun = text.lstrip()
        if any(tag.startswith(begun) and tag != begun for tag in _OPENING):
            self._pending = text
            return len(text)
        self._is_undecided, self._has_thought = False, True
        for tag in _OPENING:
            if begun.startswith(tag):
                self._close, self.is_supposed = f"</{tag[1:]}", False
                return len(text) - len(begun) + len(tag)
        return 0

    def _read_thought(self, text: str, start: int, parts: list[Split]) -> int:
        """Read past the closing tag, or to the end; return the next position."""
        end = text.find(self._close, start)
        if end >= 0:
            after = end + len(self._close)
            self._end_thought()
        else:
            end, after = len(text) - _cut_tag_length(text, self._close, start), len(text)
            self._pending = text[end:]
        if end > start:
            parts.append(ThoughtDelta(text[start:end]))
        return after

    def _end_thought(self) -> None:
        self._close, self._drop_line_ends, self._ticks = "", True, 0
        self._has_thought, self.is_supposed = True, False

    def _read_text(self, text: str, start: int, parts: list[Split]) -> int:
        """Read past the next tag, or to the end; return the next position."""
        if self._drop_line_ends:
            start = len(text) - len(text[start:].lstrip("\r\n"))
            self._drop_line_ends = start == len(text)
        end, after = self._find_tag(text, start)
        if end > start:
            parts.append(TextDelta(text[start:end]))
        if after > end and text.startswith("</", end) and not self._pending:
            if not self._has_thought:
                parts.append(LoneClosingTag(text[end:after]))
            self._end_thought()
        return after

    def _find_tag(self, text: str, start: int) -> tuple[int, int]:
        """The end of the text before the next tag, and the position behind that tag."""
        seen = start  # the end of the last run of backticks, if there is one
        for mark in _MARK.finditer(text, start):
            if mark.start() > seen:
                self._end_ticks()
            seen = mark.end()
            if mark["ticks"]:
                self._ticks += len(mark["ticks"])
            elif self._ticks or self._fence:
                self._end_ticks()  # a quoted tag: text
            elif mark["cut"]:
                self._pending = mark["cut"]
                return mark.start(), len(text)
            else:
                if mark["tag"]:
                    self._close, self._has_thought = f"</{mark['tag']}>", True
                return mark.start(), mark.end()
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


def split_whole(text: str) -> tuple[str, str]:
    """The reasoning and the text of a whole message."""
    splitter = ThinkSplitter()
    thoughts: list[str] = []
    texts: list[str] = []
    for part in (*splitter.feed(TextDelta(text)), *splitter.flush()):
        if isinstance(part, LoneClosingTag):
            thoughts, texts = [*thoughts, *texts], []
        else:
            (texts if isinstance(part, TextDelta) else thoughts).append(part.text)
    return "".join(thoughts), "".join(texts)
