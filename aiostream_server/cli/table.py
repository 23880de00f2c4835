"""Rows for a terminal."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from aiostream_server.cli.terminal import harmless

_MAX_WIDTH: Final = 40  # a longer cell moves the rest of its line
_BREAKS: Final = re.compile(r"[\t\n\u2028\u2029\ud800-\udfff]")  # what would forge a column or a line, or has no bytes


def shown(text: str) -> str:
    """Somebody else's words: on one line, and nothing in them for a terminal to obey."""
    return _BREAKS.sub("\ufffd", harmless(text)) or "-"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line for each, the columns aligned."""
    widths = [min(_MAX_WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
