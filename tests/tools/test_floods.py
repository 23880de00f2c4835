"""A statement that the guard approves can still give huge values, or very many rows.

The databases cut values before they become Python objects, so the server needs neither the memory nor the CPU time.
"""

import asyncio
import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path

import asyncpg

from aiostream_server.tools.sql.cells import MAX_CELL_CHARS
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import QueryFailed
from aiostream_server.tools.sql.rows import Rows
from tests.tools import opening

opened = partial(opening.opened, name="shop")

MAX_GROWTH_BYTES = 50 * 1024**2
MAX_BLOCKED_S = 0.1  # of the event loop's own CPU time in one turn
MANY = ", ".join(f"s || {number}" for number in range(200))
GATHERED = (
    "WITH g AS (SELECT string_agg(a.channel, ',') AS s FROM orders a, (SELECT id FROM regions LIMIT 3) b) SELECT "
)
FLOODS = {
    "postgres": [
        "SELECT array_agg(a.id) FROM orders a, orders b, regions c",
        "SELECT string_agg(a.channel || b.channel || b.channel, ',') FROM orders a, orders b, regions c",
        "SELECT array_agg(a) FROM orders a, (SELECT id FROM orders LIMIT 300) b",
        "SELECT json_agg(a) FROM orders a, (SELECT id FROM orders LIMIT 300) b",
        "SELECT jsonb_agg(a.id), array_agg(a.total) FROM orders a, orders b",
        GATHERED + MANY + " FROM g, orders",
        GATHERED + "CASE WHEN o.id > 3 THEN s ELSE '' END FROM g, orders o ORDER BY o.id",
        "SELECT power(10.0, 100000 + id) FROM orders",
        "SELECT a, b FROM orders a, orders b, orders c",
    ],
    "sqlite": [
        "SELECT group_concat(a.id) FROM orders a, orders b",
        GATHERED.replace("string_agg", "group_concat") + "CASE WHEN o.id > 3 THEN s ELSE '' END FROM g, orders o",
        GATHERED.replace("string_agg", "group_concat") + MANY + " FROM g, orders",
        "SELECT a.id, b.* FROM orders a, orders b, orders c",
    ],
}


async def ask(database: Database, sql: str) -> Rows | None:
    """None where the database refuses a statement that the guard approved."""
    try:
        return await database.ask(sql)
    except QueryFailed as exc:
        if str(exc).startswith("not run"):
            raise
        return None


async def test_a_huge_result_needs_little_memory_and_does_not_block_the_event_loop(shop: Database) -> None:
    await ask(shop, "SELECT * FROM orders")  # load what every first query loads
    for sql in FLOODS[shop.dialect]:
        before = peak_memory()
        task, blocked_s = asyncio.create_task(ask(shop, sql)), 0.0
        while not task.done():
            started = time.thread_time()
            await asyncio.sleep(0.005)
            blocked_s = max(blocked_s, time.thread_time() - started)
        rows = await task
        assert rows is None or (rows.truncated and len(rows.to_markdown()) < 200_000), sql
        assert peak_memory() - before < MAX_GROWTH_BYTES, sql
        assert blocked_s < MAX_BLOCKED_S, sql


def peak_memory() -> int:
    """The peak memory of this process, in bytes: https://www.kernel.org/doc/html/latest/filesystems/proc.html"""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def test_a_long_value_is_cut_by_the_database_and_says_so(shop: Database) -> None:
    gather = {
        "sqlite": "SELECT group_concat(c.name, ':') AS names, COUNT(*) AS n FROM customers c, regions",
        "postgres": "SELECT string_agg(c.name, ':') AS names, COUNT(*) AS n FROM customers c, regions",
    }[shop.dialect]
    rows = await ask(shop, gather)
    assert rows is not None
    assert rows.columns == ("names", "n")
    names, count = rows.rows[0]
    assert str(names).partition(":")[0].startswith("Ada ")
    assert str(names).endswith(" characters)")
    assert str(names).index("…") == MAX_CELL_CHARS
    assert (count, rows.summary) == (240, "1 row (long values shortened)")


async def test_every_type_of_postgresql_can_be_shown(postgres_url: str) -> None:
    async with opened(postgres_url) as database:
        rows = await database._run(
            """
            SELECT '{1,NULL}'::int[], row(1, 'a'), '\\x00ff'::bytea, '[1,3)'::int4range, '5'::money, '1.2.3.4'::inet,
                   'NaN'::numeric, 2.50, '{"a": 1}'::jsonb, B'101', 'x'::"char", NULL::text, NULL::bytea, 1 AS i, 2 AS i
            """
        )
    assert rows.columns[-2:] == ("i", "i")
    assert rows.rows[0][:6] == ("{1,NULL}", "(1,a)", "\\x00ff", "[1,3)", "$5.00", "1.2.3.4")
    assert rows.rows[0][6:] == ("NaN", Decimal("2.50"), '{"a": 1}', "101", "x", None, None, 1, 2)


async def test_a_user_defined_type_is_shown_as_text(postgres_url: str) -> None:
    """Also a type with the name of one of PostgreSQL's own."""
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("CREATE TYPE public.int4 AS ENUM ('low', 'high')")
    try:
        async with opened(postgres_url) as database:
            assert (await database._run("SELECT 'low'::public.int4")).rows == (("low",),)
    finally:
        await admin.execute("DROP TYPE public.int4")
        await admin.close()


async def test_rows_that_come_slowly_are_not_counted(shop_url: str) -> None:
    """The requested rows are returned; counting the remaining ones takes too long and is stopped."""
    slow = (
        "SELECT id FROM orders WHERE id = 1 UNION ALL SELECT o.id FROM orders o WHERE o.id % 100 = 0 AND "
        "(SELECT COUNT(*) FROM order_items a, order_items b WHERE a.id + b.id > o.id) > 0"
    )
    async with opened(shop_url, row_limit=1, statement_timeout_s=120) as database:
        rows = await ask(database, slow)
        assert rows is not None
        assert (rows.rows, rows.left_out) == (((1,),), None)
        assert await ask(database, "SELECT 1") is not None


async def test_a_stored_text_that_is_not_utf8_is_shown_as_well_as_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE odd (word TEXT)")
        connection.execute("INSERT INTO odd SELECT name FROM (SELECT CAST(x'4a6f73e9' AS TEXT) AS name)")
        connection.commit()
    async with opened(f"sqlite:///{path}") as database:
        assert (await database.schema()).tables[0].columns[0].samples == ("Jos\ufffd",)
        assert (await database.ask("SELECT word FROM odd")).rows == (("Jos\ufffd",),)
