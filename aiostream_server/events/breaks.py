"""Invisible breaks in text that a web page renders: `present.escaping` sets them, `without_breaks` removes them.

It removes each zero-width space at a place where `present.escaping` may set one, and leaves the others.
"""

import re
from typing import Final

BREAK: Final = "\u200b"
"""A zero-width space. Set into text that a page would take for markup, it makes the page show the text."""

_AROUND_FENCES: Final = re.compile(
    rf"\n {{0,3}}(?:`{{3,}}|~{{3,}})\n{BREAK}(?=[\r\n]|\Z)"  # the fence that closed an open code block
    rf"|{BREAK}(?P<line_end>\r\n|\r|\n)(?P=line_end)(?=```|~~~)"  # the blank line that was set before a fence
)
_IN_MARKUP: Final = re.compile(
    rf"(?<=<){BREAK}(?=[A-Za-z/!?|])|(?<=!){BREAK}(?=\[)|(?<=◁){BREAK}(?=/?think▷)"
    rf"|(?:^|(?<=\r))(?P<indent> {{0,3}}){BREAK}(?=\[)",
    re.MULTILINE,
)


def without_breaks(text: str) -> str:
    """The text that an agent said, from the text that a page was sent."""
    if BREAK not in text:
        return text
    text = _AROUND_FENCES.sub(lambda match: match["line_end"] or "", text)
    return _IN_MARKUP.sub(lambda match: match["indent"] or "", text)
