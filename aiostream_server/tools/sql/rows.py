"""What a query gave: plain values, a Markdown table, and an honest word on what was left out.

The table is GitHub's (https://github.github.com/gfm/#tables-extension-). Cells come from a database that strangers may
have written to, so nothing in them becomes markup: no HTML, link, image, formula or extra column.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from aiostream_server.tools.sql.cells import Cell, show_cell

Row: TypeAlias = tuple[Cell, ...]

_MARKUP: Final = re.compile(r"[\\`*~|\[\]$]|(?<!\w)_|_(?!\w)")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Rows:
    """`left_out` is how many rows are missing, None where they were too many to count."""

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
        """Header, rule, rows; columns of numbers are aligned to the right."""
        rule = ("---:" if self._is_numeric(index) else "---" for index in range(len(self.columns)))
        lines = [_line([_escape(name) or " " for name in self.columns]), _line(list(rule))]
        lines += [_line([_escape(show_cell(cell)) for cell in row]) for row in self.rows]
        return "\n".join(lines)

    def first(self, most_rows: int, most_units: int) -> "Rows":
        """The rows whose table is no longer than so many UTF-16 units; at least one, where there are any. What is cut
        counts as left out."""
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
        return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _units(line: str) -> int:
    """With its line end."""
    return len(line.encode("utf-16-le", "replace")) // 2 + 1


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    text = _ENTITY.sub("&amp;", _SPACES.sub(" ", text).strip())
    text = _MARKUP.sub(r"\\\g<0>", text).replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")  # bare addresses would become links
