"""Reading a result no further than it may be shown: by rows and by bytes, in steps that cannot be large."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiostream_server.tools.sql.answer import DriverAnswer
from aiostream_server.tools.sql.cells import MAX_CELL_CHARS, show_cell, to_cell, unclip
from aiostream_server.tools.sql.rows import Row, Rows

_MAX_STEP: Final = 32
_MAX_STEP_CHARS: Final = 512 * 1024  # were every value of a step as long as a value can be
_MAX_COUNTED: Final = 10_000
_CELL_OVERHEAD: Final = 3  # " | "


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that one answer may hold; `byte_limit` counts the values as they are shown."""

    row_limit: int
    byte_limit: int


async def fetch(answer: DriverAnswer, caps: Caps) -> Rows:
    """Read within `caps`, and count what is left out where that is cheap."""
    reader = _Reader(caps, answer.columns)
    step = max(1, min(_MAX_STEP, _MAX_STEP_CHARS // (MAX_CELL_CHARS * len(answer.columns))))
    while wanted := min(step, reader.rows_left):
        rows = await answer.read(wanted)
        if not rows:
            return reader.rows(left_out=0)
        if not all(reader.take(row) for row in rows):
            return reader.rows(left_out=None)
    left_out = await answer.skip(_MAX_COUNTED + 1)
    return reader.rows(left_out=None if left_out is None or left_out > _MAX_COUNTED else left_out)


class _Reader:
    def __init__(self, caps: Caps, columns: tuple[str, ...]) -> None:
        self._caps = caps
        self._columns = columns
        self._rows: list[Row] = []
        self._bytes = 0
        self._shortened = False

    @property
    def rows_left(self) -> int:
        return self._caps.row_limit - len(self._rows)

    def take(self, values: Sequence[object]) -> bool:
        """Keep the row, or say that it does not fit any more."""
        cells = [unclip(to_cell(value)) for value in values]
        self._bytes += sum(len(show_cell(cell).encode(errors="replace")) + _CELL_OVERHEAD for cell, _ in cells)
        if self._bytes > self._caps.byte_limit:
            return False
        self._shortened |= any(cut for _, cut in cells)
        self._rows.append(tuple(cell for cell, _ in cells))
        return True

    def rows(self, *, left_out: int | None) -> Rows:
        return Rows(self._columns, tuple(self._rows), self._shortened or left_out != 0, left_out)
