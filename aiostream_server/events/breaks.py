"""Text without the breaks that were set into it for a web page: see `present.marking`, which sets them.

A zero-width space that stands in one of those places is taken for ours; any other one stays.
"""

import re
from typing import Final

from aiostream_server.events.signs import BREAK

_AROUND_FENCES: Final = re.compile(
    rf"\n {{0,3}}(?:`{{3,}}|~{{3,}})\n{BREAK}(?=[\r\n]|\Z)"  # closed what was not
    rf"|{BREAK}(?P<line_end>\r\n|\r|\n)(?P=line_end)(?=```|~~~)"  # a blank line before one
)
_IN_MARKUP: Final = re.compile(
    rf"(?<=<){BREAK}(?=[A-Za-z/!?|])|(?<=!){BREAK}(?=\[)|(?<=◁){BREAK}(?=/?think▷)"
    rf"|(?:^|(?<=\r))(?P<indent> {{0,3}}){BREAK}(?=\[)",
    re.MULTILINE,
)


def without_breaks(text: str) -> str:
    """The same for a text and for what a page is shown of it."""
    if BREAK not in text:
        return text
    text = _AROUND_FENCES.sub(lambda match: match["line_end"] or "", text)
    return _IN_MARKUP.sub(lambda match: match["indent"] or "", text)
