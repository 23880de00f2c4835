"""The whole result of a query as a CSV file: https://www.rfc-editor.org/rfc/rfc4180

UTF-8, lines end with CRLF, the first has the names of the columns. NULL is an empty field, empty text is `""`, as in
PostgreSQL's COPY. Numbers keep all their digits, also where the table beside it rounds them.

Spreadsheets take text that begins with `=`, `+`, `-` or `@` for a formula, which an untrusted person may have written
into the database: it gets an apostrophe before it, unless it is a number.
https://owasp.org/www-community/attacks/CSV_Injection
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

from aiostream_server.tools.sql.backend import ResultCursor, StatementDeadline
from aiostream_server.tools.sql.cells import Binary, Clipped, show_cell, to_cell
from aiostream_server.tools.sql.errors import StatementLate

MAX_FILE_CHARS: Final = 32_767
"""Of one value: as many as a cell of Excel holds."""

_PIECE_BYTES: Final = 64 * 1024
_CLIPPABLE: Final = frozenset((Clipped, Binary))
_SPARE_S: Final = 0.2  # of the statement's time, in which the rows that were read are still answered
_SPECIAL: Final = re.compile(r'[",\r\n]|^\s|\s$|^$')
_FORMULA: Final = re.compile(r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_NUMBER: Final = re.compile(r"[+-]?(?:(?:[0-9]+(?:[.,][0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Inf(?:inity)?)", re.ASCII)
_NO_FREE_TEXT: Final = frozenset(
    (*("money", "interval", "date", "numeric"), "timestamp with time zone", "timestamp without time zone")
)


class CsvFile:
    """Takes the rows of one result, as they are read, and passes pieces of at least 64 KiB to `write`.

    It ends after the last row that fits into `most_bytes`, or where `write` returns False. `cut_by` says what ended it.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[bool]], most_bytes: int) -> None:
        self._write: Final = write
        self._bytes_left = most_bytes
        self._piece = bytearray()
        self._guarded: Sequence[bool] = ()
        self.row_count = 0
        self.is_ascii = True
        self.has_shortened = False
        self.cut_by: Literal["", "size", "time", "write"] = ""

    async def begin(self, columns: Sequence[str], types: Sequence[str]) -> None:
        """Write the header. `types` name those columns that hold no free text, and so no formulas."""
        self._guarded = [kind not in _NO_FREE_TEXT for kind in types]
        self._put(",".join(_field(name, True) for name in columns))

    async def add(self, rows: Sequence[Sequence[object]]) -> None:
        """Ends with the last row that fits. The rows are few, as they were read: nothing else runs meanwhile."""
        for row in rows:
            if self.cut_by:
                return
            self._put(",".join([_field(value, guarded) for value, guarded in zip(row, self._guarded, strict=True)]))
            self.row_count += not self.cut_by
        if not self.has_shortened:
            self.has_shortened = any(_is_clipped(value) for row in rows for value in row if type(value) in _CLIPPABLE)
        await self._flush(_PIECE_BYTES)

    async def read_rest(self, cursor: ResultCursor, step: int, deadline: StatementDeadline) -> int:
        """Add the rows that were not read yet, and return how many were read. Ends before the statement's time."""
        count = 0
        try:
            while not self.cut_by:
                async with asyncio.timeout(max(0.0, deadline.remaining_s - _SPARE_S)):
                    rows = await cursor.read(step)
                if not rows:
                    break
                count += len(rows)
                await self.add(rows)
        except (TimeoutError, StatementLate):
            self.cut_by = "time"
        return count

    async def finish(self) -> None:
        """Write the last piece."""
        await self._flush(1)

    def _put(self, line: str) -> None:
        encoded = f"{line}\r\n".encode(errors="replace")
        self._bytes_left -= len(encoded)
        if self._bytes_left < 0:
            self.cut_by = "size"
            return
        self.is_ascii = self.is_ascii and len(encoded) == len(line) + 2
        self._piece += encoded

    async def _flush(self, fewest_bytes: int) -> None:
        if len(self._piece) >= fewest_bytes and self.cut_by != "write":
            piece = bytes(self._piece)
            self._piece.clear()
            if not await self._write(piece):
                self.cut_by = "write"


def _is_clipped(value: object) -> bool:
    return isinstance(value, Clipped) or (isinstance(value, Binary) and not value.is_whole)


def _field(value: object, is_guarded: bool) -> str:
    kind = type(value)
    if kind is str or kind is Clipped:
        text = str(value)
        return text if text.isalnum() else _quoted(text, is_guarded)
    if value is None:
        return ""
    if kind is int:
        return str(value)
    if isinstance(value, Binary):
        return f"\\x{value.hex}" if value.is_whole else f"({value.size} bytes)"
    return show_cell(to_cell(value)[0])


def _quoted(text: str, is_guarded: bool) -> str:
    if is_guarded and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text
