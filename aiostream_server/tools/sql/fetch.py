"""Reading a result no further than it may be shown: by rows and by bytes, in small steps from a server-side cursor."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, CursorResult

from aiostream_server.tools.sql.cells import shorten, show_cell, to_cell
from aiostream_server.tools.sql.errors import QueryFailed
from aiostream_server.tools.sql.rows import Row, Rows

_MAX_BATCH: Final = 64
_MAX_COUNTED: Final = 10_000
_CELL_OVERHEAD: Final = 3  # " | "


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that one answer may hold; `byte_limit` counts the values as they are shown."""

    row_limit: int
    byte_limit: int


def fetch(connection: Connection, sql: str, caps: Caps) -> Rows:
    """Run the statement and read within `caps`. For `AsyncConnection.run_sync`."""
    # The driver gets the text as it is: no parameter in it is ever looked for.
    result = connection.exec_driver_sql(sql, execution_options={"stream_results": True})
    try:
        if not result.returns_rows:
            raise QueryFailed("the statement is not a question: it has no rows")
        return _Reader(caps, tuple(result.keys())).read(result)
    finally:
        result.close()


class _Reader:
    def __init__(self, caps: Caps, columns: tuple[str, ...]) -> None:
        self._caps = caps
        self._columns = columns
        self._rows: list[Row] = []
        self._bytes = 0
        self._shortened = False

    def read(self, result: CursorResult[Any]) -> Rows:
        size = 1  # the first rows say how large rows are
        while len(self._rows) < self._caps.row_limit:
            batch = result.fetchmany(min(size, self._caps.row_limit - len(self._rows)))
            if not batch:
                return self._rows_with(left_out=0)
            if not all(self._take(tuple(row)) for row in batch):
                return self._rows_with(left_out=None)
            size = min(2 * size, _MAX_BATCH)
        return self._rows_with(left_out=_count_rest(result))

    def _take(self, values: tuple[object, ...]) -> bool:
        """Keep the row, or say that it does not fit any more."""
        cells = [shorten(to_cell(value)) for value in values]
        self._bytes += sum(len(show_cell(cell).encode(errors="replace")) + _CELL_OVERHEAD for cell, _ in cells)
        if self._bytes > self._caps.byte_limit:
            return False
        self._shortened |= any(cut for _, cut in cells)
        self._rows.append(tuple(cell for cell, _ in cells))
        return True

    def _rows_with(self, *, left_out: int | None) -> Rows:
        return Rows(self._columns, tuple(self._rows), self._shortened or left_out != 0, left_out)


def _count_rest(result: CursorResult[Any]) -> int | None:
    """How many rows are left, None where counting them would be work."""
    count = 0
    while batch := result.fetchmany(_MAX_BATCH):
        count += len(batch)
        if count > _MAX_COUNTED:
            return None
    return count
