"""The whole result as CSV: other programs read the same values, nothing becomes a formula, every limit is told."""

import asyncio
import csv
import io
import math
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.tools.sql.cells import Binary, Clipped
from aiostream_server.tools.sql.csv_file import MAX_FILE_CHARS, CsvFile
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.rows import Rows
from tests.kit.needs import find_postgres
from tests.tools.opening import opened
from tests.tools.test_floods import peak_memory

RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state <> 'idle' AND pid <> pg_backend_pid() AND query LIKE '%a.id FROM orders%a, orders%b, orders%c%'
"""
WIDE = "SELECT a.id, b.channel, a.total FROM orders a CROSS JOIN orders b ORDER BY a.id, b.id"


class Written(CsvFile):
    """A file in memory. `disk_bytes` is when its disk is full."""

    def __init__(self, most_bytes: int = 10**9, disk_bytes: int = 10**9) -> None:
        super().__init__(self._grow, most_bytes)
        self.content, self._disk_bytes = b"", disk_bytes

    async def _grow(self, piece: bytes) -> bool:
        self.content += piece
        return len(self.content) <= self._disk_bytes

    def rows(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.content.decode(), newline=""), strict=True))


class Discarding(CsvFile):
    def __init__(self) -> None:
        super().__init__(self._take, 10**9)

    async def _take(self, piece: bytes) -> bool:
        return True


async def written(*rows: Sequence[object], types: Sequence[str] = ("text",)) -> str:
    file = Written()
    await file.begin(["x"] * len(types), types)
    await file.add(rows)
    await file.finish()
    return file.content.decode().partition("\r\n")[2]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""),
        ("", '""'),
        ("NULL", "NULL"),
        (True, "true"),
        (7, "7"),
        (0.1, "0.1"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (Decimal("-12.50"), "-12.50"),
        (Binary("00ff", 2), "\\x00ff"),
        (Binary("00ff", 9), "(9 bytes)"),
        (Clipped("ab", 99), "ab… (99 characters)"),
        ('say "hi", Ben', '"say ""hi"", Ben"'),
        ("two\nlines", '"two\nlines"'),
        (" a ", '" a "'),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ("-", "'-"),
        ("-5", "-5"),
        ("-Inf", "-Inf"),
        ("+1,5e3", '"+1,5e3"'),
        ("a=b", "a=b"),
    ],
)
async def test_a_value_is_one_field_and_no_formula(value: object, field: str) -> None:
    assert await written([value]) == f"{field}\r\n"


async def test_columns_without_free_text_keep_their_signs() -> None:
    assert await written(["-1 year"], types=["interval"]) == "-1 year\r\n"
    assert await written(["-$5.00"], types=["money"]) == "-$5.00\r\n"


@given(st.lists(st.lists(st.text() | st.integers() | st.none(), min_size=2, max_size=2), max_size=5))
def test_any_rows_are_read_back_by_a_strict_reader(rows: list[list[object]]) -> None:
    text = asyncio.run(written(*rows, types=["text", "text"]))
    found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    expected = [
        ["" if value is None else str(value).encode(errors="replace").decode() for value in row] for row in rows
    ]
    assert [[one.removeprefix("'") for one in row] for row in found] == [
        [one.removeprefix("'") for one in row] for row in expected
    ]


async def test_the_whole_result_is_in_the_file_and_the_first_rows_in_the_table(shop: Database) -> None:
    file = Written()
    rows = await shop.ask(WIDE.replace("CROSS JOIN orders b", "JOIN orders b ON b.id <= 9"), file)
    assert (len(rows.rows), rows.left_out, rows.ending) == (200, 1280 * 9 - 200, "… and 11,320 more rows")
    header, *found = file.rows()
    assert (header, len(found), file.row_count, file.cut_by) == (["id", "channel", "total"], 11_520, 11_520, "")
    assert [row[0] for row in found] == [str(1 + n // 9) for n in range(11_520)]
    assert rows.types == ("integer", "text", "integer or real" if shop.dialect == "sqlite" else "numeric")
    assert file.is_ascii


async def test_the_file_has_what_copy_writes(postgres_url: str) -> None:
    """PostgreSQL's own CSV, apart from line ends and truth values."""
    sql = (
        "SELECT id, channel, total, total / 3 AS third, ordered_on, NULL AS nothing, '' AS empty, "
        "'a,\"b\"' AS quoted, decode('00ff', 'hex') AS bytes FROM orders ORDER BY id"
    )
    file = Written()
    async with opened(postgres_url) as database:
        await database._run(sql, None, file)
    binaries = find_postgres()
    assert binaries is not None
    command = [str(binaries / "psql"), "-Xq", "-c", f"\\copy ({sql}) TO STDOUT (FORMAT csv, HEADER)", postgres_url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=60)
    assert file.content.replace(b"\r\n", b"\n") == done.stdout


async def test_the_file_ends_at_its_size_with_a_whole_row(shop: Database) -> None:
    file = Written(most_bytes=100_000)
    rows = await shop.ask(WIDE, file)
    assert (file.cut_by, len(rows.rows), rows.left_out) == ("size", 200, None)
    assert 99_900 < len(file.content) <= 100_000
    assert file.content.endswith(b"\r\n")
    assert len(file.rows()) == file.row_count + 1


async def test_where_the_disk_is_full_the_rows_are_there_all_the_same(shop: Database) -> None:
    file = Written(disk_bytes=0)
    rows = await shop.ask(WIDE, file)
    assert (file.cut_by, len(rows.rows)) == ("write", 200)


async def test_the_file_ends_before_the_statements_time(shop_url: str) -> None:
    """The first rows are answered, and the database can be asked again."""
    async with opened(shop_url, statement_timeout_s=1.0, row_limit=5) as database:
        file, started = Written(), time.monotonic()
        rows = await database.ask("SELECT a.id FROM orders a, orders b, orders c, orders d WHERE d.id < 100", file)
        assert (len(rows.rows), rows.left_out, file.cut_by) == (5, None, "time")
        assert time.monotonic() - started < 10
        assert file.row_count == len(file.rows()) - 1 >= 5
        assert (await database.ask("SELECT count(*) FROM regions")).rows == ((4,),)


async def test_a_long_result_needs_little_memory_and_does_not_block_the_event_loop(shop: Database) -> None:
    """Short rows first, so that the server expects no long ones, and then as many long ones as fit."""
    text = "repeat('é', 30000)" if shop.dialect == "postgres" else f"replace('{'a' * 3000}', 'a', 'ééééééééééé')"
    sql = f"WITH s AS (SELECT {text} AS t) SELECT o.id, CASE WHEN o.id > 1180 THEN t END FROM orders o, s ORDER BY o.id"  # noqa: S608
    await shop._run(sql, None, Discarding())  # load what every first query loads
    file, before, blocked_s = Discarding(), peak_memory(), 0.0
    task = asyncio.create_task(shop._run(sql, None, file))
    while not task.done():
        started = time.thread_time()
        await asyncio.sleep(0.002)
        blocked_s = max(blocked_s, time.thread_time() - started)
    assert (await task).left_out == 1280 - 200
    assert file.row_count == 1280
    assert peak_memory() - before < 32 * 1024**2
    assert blocked_s < 0.1


async def test_a_stopped_task_leaves_nothing_running(shop_url: str) -> None:
    async with opened(shop_url, statement_timeout_s=60.0) as database, running_in(shop_url) as running:
        file = Written()
        task = asyncio.create_task(database.ask("SELECT a.id FROM orders a, orders b, orders c", file))
        async with asyncio.timeout(30):
            while not file.content:  # noqa: ASYNC110 - a file has no event for it
                await asyncio.sleep(0.01)
            assert await running()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await database.ask("SELECT count(*) FROM regions")).rows == ((4,),)
            while await running() and database.dialect == "postgres":  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_in(url: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Whether PostgreSQL has the statement; always true of SQLite: its process is killed."""
    if url.startswith("sqlite"):
        yield lambda: asyncio.sleep(0, result=True)
        return
    observer = await asyncpg.connect(url)

    async def is_running() -> bool:
        return bool(await observer.fetchval(RUNNING))

    try:
        yield is_running
    finally:
        await observer.close()


async def test_long_values_are_whole_up_to_what_a_spreadsheets_cell_holds(shop: Database) -> None:
    text = f"WITH s AS (SELECT replace('{'a' * 1000}', 'a', 'xxxxx') AS t) SELECT "
    file = Written()
    rows = await shop._run(f"{text} t, {' || '.join(['t'] * 8)} FROM s", None, file)
    assert str(rows.rows[0][0]).endswith("… (5000 characters)")
    five, forty = file.rows()[1]
    assert five == "x" * 5000
    assert forty == "x" * MAX_FILE_CHARS + "… (40000 characters)"
    assert file.has_shortened
    many = Written()
    await shop._run(f"{text} {', '.join(['t'] * 700)} FROM s", None, many)
    most = {"sqlite": 2_000, "postgres": 2 * 1024**2 // 700}[shop.dialect]
    assert {len(one) for one in many.rows()[1]} == {most + len("… (5000 characters)")}


async def test_sqlite_tells_the_types_of_its_values(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "it.db")) as connection:
        connection.execute("CREATE TABLE t (a, b, c, d)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)", [(n, 1.5 if n % 2 else "x", None, b"\x01" * n) for n in range(500)]
        )
        connection.commit()
    file = Written()
    async with opened(f"sqlite:///{tmp_path / 'it.db'}") as database:
        rows = await database.ask("SELECT a, b, c, d FROM t ORDER BY a", file)
    assert rows.types == ("integer", "real or text", "null", "blob")
    assert file.rows()[-1] == ["499", "1.5", "", "\\x" + "01" * 499]
    assert rows.rows[40][3] == "(40 bytes)"


def test_null_is_told_from_text() -> None:
    rows = Rows(("x",), ((None,), ("NULL",), ("null",), ("",), ("  ",), ('""',), ("nullable",)))
    assert [line[2:-2] for line in rows.to_markdown().splitlines()[2:]] == [
        *("NULL", '"NULL"', '"null"', '""', '" "', '""""', "nullable")
    ]
