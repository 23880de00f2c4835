"""Text that is safe to print in a terminal, and rows of it in aligned columns.

Models, databases and configuration files may hold control characters that would recolour the terminal, move its cursor
or reverse the reading direction. Each of them is printed as U+FFFD instead.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BREAKS: Final = re.compile(r"[\t\n\u2028\u2029\ud800-\udfff]")  # start a column or a line, or cannot be encoded
_MAX_CELL_WIDTH: Final = 40


def without_controls(text: str) -> str:
    """Replace every control character except line ends and tabs."""
    return _CONTROLS.sub("\ufffd", text)


def one_line(text: str) -> str:
    """Like `without_controls`, and replaces line ends and tabs, too; `-` for an empty text."""
    return _BREAKS.sub("\ufffd", without_controls(text)) or "-"


def aligned_rows(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line per row. A cell that is wider than 40 characters shifts the rest of its own row only."""
    widths = [min(_MAX_CELL_WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
