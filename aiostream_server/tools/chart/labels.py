"""Text and numbers in a picture: one line, short, without characters that hide or reverse other text."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Final

LABEL_CHARS: Final = 40
TITLE_CHARS: Final = 90
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode categories
_SCALES: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
_SCIENTIFIC: Final = 1e15


def safe_label(text: str, most: int = LABEL_CHARS) -> str:
    """The text on one line of at most `most` characters, without control and format characters."""
    visible = "".join(sign if unicodedata.category(sign) not in _HIDDEN else " " for sign in text[: most * 4])
    line = " ".join(visible.split())
    return line if len(line) <= most and len(text) <= most * 4 else f"{line[: most - 1].rstrip()}…"


def column_title(column: str) -> str:
    """A column's name as people write it: `total_revenue` becomes "Total revenue"."""
    name = column.replace("_", " ") if _PLAIN_NAME.fullmatch(column) else column
    short = safe_label(name)
    return short[:1].upper() + short[1:] if short.islower() else short


def short_number(value: float) -> str:
    """A number with few digits, separated thousands and abbreviated millions: `12,345`, `1.25M`, `0.037`."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        return _scaled(value, 3)
    if size >= 1_000 or value == round(value):
        return _signed(f"{size:,.0f}", value)
    if size >= 1:
        return _signed(f"{size:.2f}", value)
    return _signed(f"{size:.2g}", value)


def tick_label(value: float, _: object = None) -> str:
    """A tick of an axis, with as many digits as tell it from its neighbours."""
    return _scaled(value, 10)


def _scaled(value: float, digits: int) -> str:
    size = abs(value)
    if size >= _SCIENTIFIC or 0 < size < 1e-4:
        return _signed(f"{size:.3g}", value)
    scale, letter = next(
        ((scale, letter) for scale, letter in _SCALES if float(f"{size:.{digits}g}") >= scale), (1.0, "")
    )
    return _signed(f"{size / scale:,.{digits}g}{letter}", value)


def _signed(text: str, value: float) -> str:
    return f"−{text}" if value < 0 else text


def month_labels(names: Sequence[str]) -> list[str] | None:
    """`2024-01`, `2024-02` as "Jan" above its year, "Feb"; None where a name is not a month."""
    try:
        months = [date.fromisoformat(f"{name}-01") for name in names]
    except ValueError:
        return None
    years = [None, *(month.year for month in months)]
    return [
        f"{month:%b}" if month.year == year else f"{month:%b\n%Y}" for month, year in zip(months, years, strict=False)
    ]


def display_width(text: str) -> int:
    """The width of a text in letters. A Chinese character is as wide as two letters."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def wrap_label(text: str, letters: int, lines: int = 2) -> str:
    """Broken at spaces into `lines` lines of at most `letters` letters. An ellipsis replaces what is left."""
    found = textwrap.wrap(text, max(2, letters * len(text) // max(1, display_width(text))))
    return "\n".join(found[:lines]) + ("…" if len(found) > lines else "")
