"""Numbers and names as they stand at an axis."""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_SCALES: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
_SCIENTIFIC: Final = 1e15
_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_YEARS: Final = range(1800, 2201)


def figure(value: float) -> str:
    """Thousands apart, millions in short, no more digits than tell something: `12,345`, `1.25M`, `0.037`."""
    size = abs(value)
    if size >= _SCIENTIFIC or 0 < size < 1e-4:
        return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"
    for scale, letter in _SCALES:
        if size >= (scale if letter == "M" else scale * 0.9995):  # what is rounded to a thousand of the smaller
            return _signed(f"{abs(value) / scale:.3g}{letter}", value)
    if size >= 1_000 or value == round(value):
        return _signed(f"{size:,.0f}", value)
    decimals = 2 if size >= 1 else 1 - math.floor(math.log10(size)) if size else 0
    text = f"{size:,.{decimals}f}"
    return _signed(text.rstrip("0").rstrip(".") if decimals > 2 else text, value)


def tick(value: float, step: float, largest: float) -> str:
    """As the others of its axis, which are `step` apart and no larger than `largest`."""
    if largest >= _SCIENTIFIC or step < 1e-4:
        return "0" if value == 0 else f"{value:.3g}"
    scale, letter = next(((scale, letter) for scale, letter in _SCALES if largest >= scale), (1.0, ""))
    decimals = max(0, -math.floor(math.log10(step / scale) + 1e-9))
    while decimals < 6 and abs(round(step / scale, decimals) - step / scale) > 1e-9 * step / scale:
        decimals += 1  # 2.5 apart: one more
    text = f"{abs(value) / scale:,.{decimals}f}"
    is_zero = float(text.replace(",", "")) == 0
    return text if is_zero else _signed(text + letter, value)


def are_years(values: Sequence[float]) -> bool:
    return all(value == int(value) and int(value) in _YEARS for value in values)


def months(names: Sequence[str]) -> list[str] | None:
    """`2024-01`, `2024-02` as "Jan" over its year, "Feb"; None where the names are something else."""
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


def width(text: str) -> int:
    """How wide a text is, in letters: a Chinese one is as wide as two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def wrapped(text: str, letters: int, lines: int = 2) -> str:
    """In lines of no more letters, broken at spaces where there are some; what is more ends with an ellipsis."""
    found: list[str] = []
    line = ""
    for word in text.split(" "):
        for part in _pieces(word, letters):
            longer = f"{line} {part}" if line else part
            if width(longer) > letters and line:
                found.append(line)
                line = part
            else:
                line = longer
    found.append(line)
    return "\n".join(found if len(found) <= lines else [*found[: lines - 1], f"{found[lines - 1]}…"])


def _pieces(word: str, letters: int) -> list[str]:
    if width(word) <= letters:
        return [word]
    pieces, piece = [], ""
    for sign in word:
        if width(piece + sign) > letters:
            pieces.append(piece)
            piece = ""
        piece += sign
    return [*pieces, piece]


def _signed(text: str, value: float) -> str:
    return f"−{text}" if value < 0 else text
