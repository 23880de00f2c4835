"""The rows of a query: read within limits of rows and bytes, shown as a Markdown table; all of them kept as a file.

The table is GitHub's (https://github.github.com/gfm/#tables-extension-). Cells come from a database that untrusted
people may have written to, so they are escaped: a cell becomes no HTML, link, image, formula or extra column.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from aiostream_server.tools.sql.backend import ResultCursor, StatementDeadline
from aiostream_server.tools.sql.cells import Cell, is_number, rounded, show_cell, to_cell
from aiostream_server.tools.sql.csv_file import CsvFile
from aiostream_server.tools.sql.figures import figures

Row: TypeAlias = tuple[Cell, ...]

_MAX_COUNTED: Final = 10_000
_CELL_OVERHEAD: Final = 3  # " | "
_MARKUP: Final = re.compile(r"[\\`*~|\[\]$]|(?<!\w)_|_(?!\w)")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_SPACES: Final = re.compile(r"\s+")
_LOOKS_LIKE_NULL: Final = re.compile(r'\s*"*(?:null)?"*\s*', re.IGNORECASE)
_NUMBER_WORDS: Final = frozenset(("NaN", "Infinity", "-Infinity", "Inf", "-Inf"))


@dataclass(frozen=True, slots=True)
class Rows:
    """`left_out` is how many rows are missing, None where they are too many to count.

    `types` are the columns' as the database names them; of SQLite, which types values, those of the values.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    truncated: bool = False
    left_out: int | None = 0
    types: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """`4 rows`, `200 rows (1,235 more left out)`, `200 rows (more left out)`."""
        count = len(self.rows)
        text = f"{count or 'no'} row{'' if count == 1 else 's'}"
        if self.left_out == 0:
            return f"{text} (long values shortened)" if self.truncated else text
        return f"{text} (more left out)" if self.left_out is None else f"{text} ({self.left_out:,} more left out)"

    @property
    def ending(self) -> str:
        """The line below the table: `… and 1,234 more rows`; empty where there are no more."""
        if self.left_out == 0:
            return ""
        count = "" if self.left_out is None else f" {self.left_out:,}"
        return f"… and{count} more row{'' if self.left_out == 1 else 's'}"

    def to_markdown(self, null: str = "NULL", *, for_people: bool = False) -> str:
        """Header, rule and rows. Columns of numbers are aligned to the right.

        NULL is shown as `null`; text that could be mistaken for it, and text without a visible letter, in quotes.
        Models read numbers as the database gives them. `for_people` they are written as in a text: see `figures`.
        """

        def shown(cell: Cell) -> str:
            if isinstance(cell, str) and _LOOKS_LIKE_NULL.fullmatch(cell):
                return escape_cell(f'"{cell}"')
            return null if cell is None else escape_cell(show_cell(cell))

        rule = ("---:" if self._is_numeric(index) else "---" for index in range(len(self.columns)))
        lines = [_line([escape_cell(name) or " " for name in self.columns]), _line(list(rule))]
        rows = [[shown(cell) for cell in row] for row in self.rows]
        if for_people:
            for index, name in enumerate(self.columns):
                for row, figure in zip(rows, figures(name, [cells[index] for cells in self.rows]), strict=True):
                    row[index] = figure or row[index]
        lines += map(_line, rows)
        return "\n".join(lines)

    def first(self, most_rows: int, most_units: int) -> "Rows":
        """The first rows, at least one, of a table for people of at most `most_units` UTF-16 units."""
        header, rule, *lines = self.to_markdown(for_people=True).split("\n")
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
        values = [value for row in self.rows if (value := row[index]) is not None and value not in _NUMBER_WORDS]
        return bool(values) and (self._is_money(index) or all(is_number(value) for value in values))

    def _is_money(self, index: int) -> bool:
        return self.types[index : index + 1] == ("money",)


def _units(line: str) -> int:
    """Length in UTF-16 units, line end included."""
    return len(line.encode("utf-16-le", "replace")) // 2 + 1


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape_cell(text: str) -> str:
    text = _ENTITY.sub("&amp;", _SPACES.sub(" ", text).strip())
    text = _MARKUP.sub(r"\\\g<0>", text).replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("://", "&#58;//").replace("www.", "www&#46;")  # Markdown links bare addresses


@dataclass(slots=True)
class _Table:
    """Rows within the limits. `is_full` also where a row was too much."""

    row_limit: int
    bytes_left: int
    places: Sequence[int | None]
    rows: list[Row] = field(default_factory=list)
    has_shortened: bool = False
    is_full: bool = False

    def add(self, found: Sequence[Sequence[object]]) -> int:
        """Returns how many of the rows fit."""
        before = len(self.rows)
        for values in found:
            cells = [to_cell(value) for value in values]
            row = tuple(rounded(cell, most) for (cell, _), most in zip(cells, self.places, strict=True))
            self.bytes_left -= sum(len(show_cell(cell).encode(errors="replace")) + _CELL_OVERHEAD for cell in row)
            self.is_full = self.bytes_left < 0 or len(self.rows) == self.row_limit
            if self.is_full:
                break
            self.has_shortened |= any(was_cut for _, was_cut in cells)
            self.rows.append(row)
        self.is_full |= len(self.rows) == self.row_limit
        return len(self.rows) - before


async def fetch(
    cursor: ResultCursor,
    limits: tuple[int, int],
    places: Sequence[int | None],
    file: CsvFile | None,
    deadline: StatementDeadline,
) -> Rows:
    """Read rows within the limits of rows and bytes, all rows into the `file`, and count those that are left out.

    The limit of bytes counts the values as they are shown. `places` has an entry for each column: the decimal places
    to which its numbers are rounded, or None. Without a file, the rest is counted where that is cheap.
    """
    table, read, found = _Table(*limits, places), 0, None
    if file is not None:
        await file.begin(cursor.columns, cursor.types)
    while not table.is_full and (found := await cursor.read(min(cursor.step, table.row_limit - len(table.rows)))):
        read += len(found)
        table.add(found)
        if file is not None:
            await file.add(found)
    left_out: int | None = read - len(table.rows)
    if found:
        left_out = await _count_rest(cursor, read - len(table.rows), file, deadline, is_cheap=table.bytes_left >= 0)
    if file is not None:
        await file.finish()
    is_cut = table.has_shortened or left_out != 0
    return Rows(cursor.columns, tuple(table.rows), is_cut, left_out, tuple(cursor.types))


async def _count_rest(
    cursor: ResultCursor, unread: int, file: CsvFile | None, deadline: StatementDeadline, *, is_cheap: bool
) -> int | None:
    """How many rows are not in the table: the `unread`, and those that the cursor still has; None where too many."""
    if file is not None:
        unread += await file.read_rest(cursor, cursor.step, deadline)
        if not file.cut_by:
            return unread
        if file.cut_by == "time":
            return None
    elif not is_cheap:
        return None
    skipped = await cursor.skip(_MAX_COUNTED + 1)
    return None if skipped is None or skipped > _MAX_COUNTED else unread + skipped
