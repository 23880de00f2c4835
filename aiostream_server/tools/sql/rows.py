"""The rows of a query: read within limits of rows and bytes, shown as a Markdown table.

The table is GitHub's (https://github.github.com/gfm/#tables-extension-). Cells come from a database that untrusted
people may have written to, so they are escaped: a cell becomes no HTML, link, image, formula or extra column.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from aiostream_server.tools.sql.backend import ResultCursor
from aiostream_server.tools.sql.cells import MAX_CELL_CHARS, Cell, is_number, rounded, show_cell, to_cell, unclip

Row: TypeAlias = tuple[Cell, ...]

_MAX_STEP: Final = 32  # rows
_MAX_STEP_CHARS: Final = 512 * 1024  # of a step with values of maximum length only
_MAX_COUNTED: Final = 10_000
_CELL_OVERHEAD: Final = 3  # " | "
_MARKUP: Final = re.compile(r"[\\`*~|\[\]$]|(?<!\w)_|_(?!\w)")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Rows:
    """`left_out` is how many rows are missing, None where they are too many to count."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    truncated: bool = False
    left_out: int | None = 0

    @property
    def summary(self) -> str:
        """`4 rows`, `200 rows (35 more left out)`, `200 rows (more left out)`."""
        count = len(self.rows)
        text = f"{count or 'no'} row{'' if count == 1 else 's'}"
        if self.left_out == 0:
            return f"{text} (long values shortened)" if self.truncated else text
        return f"{text} (more left out)" if self.left_out is None else f"{text} ({self.left_out} more left out)"

    def to_markdown(self) -> str:
        """Header, rule and rows. Columns of numbers are aligned to the right."""
        rule = ("---:" if self._is_numeric(index) else "---" for index in range(len(self.columns)))
        lines = [_line([_escape(name) or " " for name in self.columns]), _line(list(rule))]
        lines += [_line([_escape(show_cell(cell)) for cell in row]) for row in self.rows]
        return "\n".join(lines)

    def first(self, most_rows: int, most_units: int) -> "Rows":
        """The first rows, at least one, of a table of at most `most_units` UTF-16 units. The rest is left out."""
        header, rule, *lines = self.to_markdown().split("\n")
        left, kept = most_units - _units(header) - _units(rule), 0
        for line in lines[:most_rows]:
            left -= _units(line)
            if left < 0 and kept:
                break
            kept += 1
        cut = len(self.rows) - kept
        left_out = None if self.left_out is None else self.left_out + cut
        return replace(self, rows=self.rows[:kept], truncated=self.truncated or cut > 0, left_out=left_out)

    def _is_numeric(self, index: int) -> bool:
        values = [row[index] for row in self.rows if row[index] is not None]
        return bool(values) and all(is_number(value) for value in values)


def _units(line: str) -> int:
    """Length in UTF-16 units, line end included."""
    return len(line.encode("utf-16-le", "replace")) // 2 + 1


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    text = _ENTITY.sub("&amp;", _SPACES.sub(" ", text).strip())
    text = _MARKUP.sub(r"\\\g<0>", text).replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")  # Markdown links bare addresses


async def fetch(cursor: ResultCursor, row_limit: int, byte_limit: int, places: Sequence[int | None]) -> Rows:
    """Read rows within the limits, and count the remaining rows where that is cheap.

    `byte_limit` counts the bytes of the values as they are shown. `places` has an entry for each column: the decimal
    places to which its numbers are rounded, or None.
    """
    columns, rows, was_cut = cursor.columns, list[Row](), False
    step = max(1, min(_MAX_STEP, _MAX_STEP_CHARS // (MAX_CELL_CHARS * len(columns))))
    while wanted := min(step, row_limit - len(rows)):
        found = await cursor.read(wanted)
        if not found:
            return Rows(columns, tuple(rows), was_cut, 0)
        for values in found:
            cells = [unclip(rounded(to_cell(value), most)) for value, most in zip(values, places, strict=True)]
            byte_limit -= sum(len(show_cell(cell).encode(errors="replace")) + _CELL_OVERHEAD for cell, _ in cells)
            if byte_limit < 0:
                return Rows(columns, tuple(rows), True, None)
            was_cut |= any(is_cut for _, is_cut in cells)
            rows.append(tuple(cell for cell, _ in cells))
    left_out = await cursor.skip(_MAX_COUNTED + 1)
    if left_out is not None and left_out > _MAX_COUNTED:
        left_out = None
    return Rows(columns, tuple(rows), was_cut or left_out != 0, left_out)
