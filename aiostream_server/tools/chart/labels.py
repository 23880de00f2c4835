"""Text and numbers in a picture: one line, short, without characters that hide or reverse other text."""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

LABEL_CHARS: Final = 40
TITLE_CHARS: Final = 90
_PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # Unicode categories
_SCALES: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
_SCIENTIFIC: Final = 1e15
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_YEARS: Final = range(1800, 2201)


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
    if size >= _SCIENTIFIC or 0 < size < 1e-4:
        return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"
    for scale, letter in _SCALES:
        if size >= (scale if letter == "M" else scale * 0.9995):  # 999.5 million is shown as 1B
            return _signed(f"{abs(value) / scale:.3g}{letter}", value)
    if size >= 1_000 or value == round(value):
        return _signed(f"{size:,.0f}", value)
    decimals = 2 if size >= 1 else 1 - math.floor(math.log10(size)) if size else 0
    text = f"{size:,.{decimals}f}"
    return _signed(text.rstrip("0").rstrip(".") if decimals > 2 else text, value)


def tick_label(value: float, step: float, largest: float) -> str:
    """A tick in the format of its axis. The ticks are `step` apart and at most `largest`."""
    if largest >= _SCIENTIFIC or step < 1e-4:
        return "0" if value == 0 else f"{value:.3g}"
    scale, letter = next(((scale, letter) for scale, letter in _SCALES if largest >= scale), (1.0, ""))
    decimals = max(0, -math.floor(math.log10(step / scale) + 1e-9))
    while decimals < 6 and abs(round(step / scale, decimals) - step / scale) > 1e-9 * step / scale:
        decimals += 1  # a step of 2.5 needs one more decimal
    text = f"{abs(value) / scale:,.{decimals}f}"
    is_zero = float(text.replace(",", "")) == 0
    return text if is_zero else _signed(text + letter, value)


def are_years(values: Sequence[float]) -> bool:
    return all(value == int(value) and int(value) in _YEARS for value in values)


def month_labels(names: Sequence[str]) -> list[str] | None:
    """`2024-01`, `2024-02` as "Jan" above its year, "Feb"; None where a name is not a month."""
    found = [_MONTH.fullmatch(name) for name in names]
    if len(found) < 2 or not all(found):
        return None
    labels: list[str] = []
    year = ""
    for match in found:
        if match is not None:
            month = _MONTHS[int(match[2]) - 1]
            labels.append(month if match[1] == year else f"{month}\n{match[1]}")
            year = match[1]
    return labels


def display_width(text: str) -> int:
    """The width of a text in letters. A Chinese character is as wide as two letters."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def wrap_label(text: str, letters: int, lines: int = 2) -> str:
    """Broken at spaces into `lines` lines of at most `letters` letters. An ellipsis replaces further lines."""
    found: list[str] = []
    line = ""
    for word in text.split(" "):
        for part in _pieces(word, letters):
            longer = f"{line} {part}" if line else part
            if display_width(longer) > letters and line:
                found.append(line)
                line = part
            else:
                line = longer
    found.append(line)
    return "\n".join(found if len(found) <= lines else [*found[: lines - 1], f"{found[lines - 1]}…"])


def _pieces(word: str, letters: int) -> list[str]:
    if display_width(word) <= letters:
        return [word]
    pieces, piece = [], ""
    for sign in word:
        if display_width(piece + sign) > letters:
            pieces.append(piece)
            piece = ""
        piece += sign
    return [*pieces, piece]


def _signed(text: str, value: float) -> str:
    return f"−{text}" if value < 0 else text
