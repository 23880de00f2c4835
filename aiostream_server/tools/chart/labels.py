"""Text as it may stand in a picture: one line, not too long, and nothing in it that turns or hides the rest."""

import re
import unicodedata
from typing import Final

LABEL_CHARS: Final = 40
TITLE_CHARS: Final = 90
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown(text: str, most: int = LABEL_CHARS) -> str:
    """Cut, with an ellipsis, where it is too long."""
    visible = "".join(sign if unicodedata.category(sign) not in _HIDDEN else " " for sign in text[: most * 4])
    line = " ".join(visible.split())
    return line if len(line) <= most and len(text) <= most * 4 else f"{line[: most - 1].rstrip()}…"


def spoken(column: str) -> str:
    """A column's name as people write it: `total_revenue` is "Total revenue"."""
    name = column.replace("_", " ") if _PLAIN_NAME.fullmatch(column) else column
    short = shown(name)
    return short[:1].upper() + short[1:] if short.islower() else short
