"""Invisible breaks in text that a web page renders: `present.escaping` sets them, `without_breaks` removes them.

It removes each zero-width space at a place where `present.escaping` may set one, and leaves the others. `QUOTE` marks a
line that `present.quoting` quotes, and `without_quotes` removes it.
"""

import re
from typing import Final

BREAK: Final = "\u200b"
"""A zero-width space. Set into text that a page would take for markup, it makes the page show the text."""

QUOTE: Final = f"> {BREAK}"

ARTIFACT_LANGUAGES: Final = r"x?html?|svg|xml|mermaid|vega(?:\\?-lite)?"
"""Of the code blocks that a page runs or draws, as a regular expression."""

_QUOTED: Final = re.compile(rf"(?:^|(?<=\r)){QUOTE}", re.MULTILINE)
_AROUND_FENCES: Final = re.compile(
    rf"\n {{0,3}}(?:`{{3,}}|~{{3,}})\n{BREAK}(?=[\r\n]|\Z)"  # the fence that closed an open code block
    rf"|{BREAK}(?P<line_end>\r\n|\r|\n)(?P=line_end)(?=```|~~~)"  # the blank line that was set before a fence
)
_IN_MARKUP: Final = re.compile(
    rf"(?<=<){BREAK}(?=[A-Za-z/!?|])|(?<=!){BREAK}(?=\[)|(?<=◁){BREAK}(?=/?think▷)"
    rf"|(?<=```|~~~){BREAK}(?=[ \t]{{21}}|[ \t]{{0,20}}(?:{ARTIFACT_LANGUAGES})(?![a-z0-9]))"
    rf"|(?:^|(?<=\r))(?P<indent> {{0,3}}){BREAK}(?=\[)",
    re.MULTILINE | re.IGNORECASE,
)


def without_breaks(text: str) -> str:
    """The text that an agent said, from the text that a page was sent."""
    if BREAK not in text:
        return text
    text = _AROUND_FENCES.sub(lambda match: match["line_end"] or "", text)
    return _IN_MARKUP.sub(lambda match: match["indent"] or "", text)


def without_quotes(text: str) -> str:
    """The lines as the agent said them."""
    return _QUOTED.sub("", text) if QUOTE in text else text
