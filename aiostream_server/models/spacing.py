"""Drops the white space around thoughts and before the first text, which would open a message with nothing to see.

Models write `<think>\\n\\n</think>` where they were told not to think (QwenLM/Qwen-Agent#542). White space is held back
until it is known what follows: inside a thought and inside text it stays.
"""

import re
from collections.abc import Sequence
from typing import Final

from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.models.think import Spoken

_BLANK_LINES: Final = re.compile(r"\A\s*[\r\n]")


class Spacing:
    """One for each answer that is shown."""

    __slots__ = ("_has_text", "_held", "_in_thought", "_is_behind_thought", "in_text")

    def __init__(self) -> None:
        self.in_text = False  # more text is shown as it is
        self._in_thought = False
        self._is_behind_thought = False
        self._has_text = False
        self._held: list[str] = []  # white space in front of text, or inside a thought or at its end

    def shown(self, spoken: Sequence[Spoken]) -> Sequence[Spoken]:
        """What is shown now."""
        parts: list[Spoken] = []
        for part in spoken:
            if isinstance(part, ThoughtDelta):
                if self._in_thought and not self._held and not part.text[-1].isspace():
                    parts.append(part)
                elif thought := self._of_thought(part.text):
                    parts.append(ThoughtDelta(thought))
            elif self.in_text:
                parts.append(part)
            elif text := self._of_text(part.text):
                parts.append(TextDelta(text))
        return parts

    def _of_thought(self, piece: str) -> str:
        if not self._in_thought and not piece.isspace():
            self.in_text, self._in_thought = False, True
            self._held = []
            piece = piece.lstrip()
        if piece.isspace():
            if self._in_thought:
                self._held.append(piece)
            elif not self.in_text:
                self._is_behind_thought = True
            return ""
        text = piece.rstrip()
        said = "".join([*self._held, text])
        self._held = [piece[len(text) :]] if len(text) < len(piece) else []
        return said

    def _of_text(self, piece: str) -> str:
        if self._in_thought:
            self._in_thought, self._is_behind_thought = False, True
            self._held = []
        self._held.append(piece)
        if piece.isspace():
            return ""
        text, self._held = "".join(self._held), []
        if self._is_behind_thought:
            behind = _BLANK_LINES.sub("", text)
            text = text.lstrip() if behind == text and not self._has_text else behind
        self.in_text, self._is_behind_thought, self._has_text = True, False, True
        return text
