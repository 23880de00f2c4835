"""Runs a query for a run: its first rows for the agents, and all rows as a CSV file that the answer links to.

The file gets its pieces while the database sends rows, so neither the rows nor the file are ever whole in memory. Where
there is no place for files, the disk is full, or there is only one row, there is no link, and the rows are the same.
"""

import codecs
import re
from typing import Final, NamedTuple

import structlog

from aiostream_server.store.run_files import FileRefused, GrowingRunFile, LinkedFile, current_files
from aiostream_server.tools.sql.csv_file import CsvFile
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.rows import Rows, escape_cell

_CSV: Final = "text/csv"
_FEWEST_ROWS: Final = 2
_REMARK_CHARS: Final = 600
_NAME_CHARS: Final = 60
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_MIB: Final = 1024**2
_KIB: Final = 1024

_log: Final = structlog.get_logger()


class QueryResult(NamedTuple):
    """`file` has all rows, and is promised to the reader of the answer; None where there is none."""

    rows: Rows
    file: LinkedFile | None


async def query_result(database: Database, sql: str) -> QueryResult:
    """Raises what `Database.ask` raises."""
    files = current_files.get()
    if files is None or not database.result_bytes:
        return QueryResult(await database.ask(sql), None)
    try:
        async with files.growing() as growing:
            rows, file = await _with_file(database, sql, growing)
    except FileRefused as exc:
        _log.warning("result_not_kept", reason=str(exc))
        return QueryResult(await database.ask(sql), None)
    if file is not None:
        files.promise_result(file)
    return QueryResult(rows, file)


async def _with_file(database: Database, sql: str, growing: GrowingRunFile) -> tuple[Rows, LinkedFile | None]:
    problem: FileRefused | None = None

    async def write(piece: bytes) -> bool:
        nonlocal problem
        try:
            await growing.write(piece)
        except FileRefused as exc:
            problem = exc
        return problem is None

    bom = codecs.BOM_UTF8
    most_bytes = min(database.result_bytes, growing.most_bytes - len(bom))
    csv = CsvFile(write, most_bytes)
    rows = await database.ask(sql, csv)
    if problem is None and csv.row_count < _FEWEST_ROWS:
        return rows, None
    try:
        if problem is not None:
            raise problem
        # Excel reads UTF-8 only behind a byte order mark. Files that need none have none: few other programs want it.
        beginning = b"" if csv.is_ascii else bom
        part = f"-first-{csv.row_count}-rows" if csv.cut_by else ""
        name = f"{_NOT_IN_NAMES.sub('-', database.name)[:_NAME_CHARS]}{part}.csv"
        file = await growing.keep(_CSV, name, beginning=beginning, remark=_remark(csv, rows, most_bytes))
    except FileRefused as exc:
        _log.warning("result_not_kept", reason=str(exc))
        return rows, None
    return rows, file


def _remark(csv: CsvFile, rows: Rows, most_bytes: int) -> str:
    """`(1,434 rows: region text, total numeric)`"""
    match csv.cut_by:
        case "size":
            count = f"the first {csv.row_count:,} rows, as many as {_size(most_bytes)} hold"
        case "time":
            count = f"the first {csv.row_count:,} rows, as many as could be read in time"
        case _:
            count = f"{csv.row_count:,} rows"
    if csv.has_shortened:
        count += ", long values shortened"
    columns, left = list[str](), _REMARK_CHARS
    for name, kind in zip(rows.columns, rows.types, strict=True):
        column = escape_cell(f"{name} {kind}")
        if (left := left - len(column)) < 0:
            columns.append(f"and {len(rows.columns) - len(columns)} more columns")
            break
        columns.append(column)
    return f"({count}: {', '.join(columns)})"


def _size(count: int) -> str:
    return f"{count / _MIB:.3g} MiB" if count >= _MIB else f"{count / _KIB:.3g} KiB"
