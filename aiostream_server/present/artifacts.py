"""Keeps Open WebUI from running what an agent writes: fences of HTML, SVG and diagrams are shown as code.

The page opens a frame beside the chat, with scripts, for a code block in the language html or svg, or xml with an SVG
in it, and draws those of mermaid and vega (versions 0.6.36 and 0.12.4). It looks for the language behind the backticks,
so a break between the two is enough, and the code can still be copied. `events.breaks.without_breaks` takes it out.
"""

import re
from typing import Final

from aiostream_server.events.breaks import ARTIFACT_LANGUAGES, BREAK

_RUN: Final = r"(?:(?<!`)`{3,}+|(?<!~)~{3,}+)"
_FENCE: Final = re.compile(rf"{_RUN}(?=[ \t]{{21}}|[ \t]{{0,20}}(?:{ARTIFACT_LANGUAGES})(?![a-z0-9]))", re.IGNORECASE)
_MAYBE: Final = re.compile(rf"(?:{_RUN}[ \t]{{0,20}}[a-z\\-]{{0,12}}|(?<!`)`{{1,2}}|(?<!~)~{{1,2}})\Z", re.IGNORECASE)
_MAX_HELD_CHARS: Final = 300


class ArtifactGuard:
    """For one message that is streamed: `feed` its pieces, then `end` it. Holds back a fence until its language is
    known."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        if not self._held and "`" not in text and "~" not in text:
            return text
        return self._guard(self._held + text, is_all=False)

    def end(self) -> str:
        return self._guard(self._held, is_all=True)

    def _guard(self, text: str, *, is_all: bool) -> str:
        tail = max(0, len(text) - _MAX_HELD_CHARS)
        found = None if is_all else _MAYBE.search(text[tail:])
        at = tail + found.start() if found else len(text)
        self._held = text[at:]
        return _FENCE.sub(rf"\g<0>{BREAK}", text[:at])
