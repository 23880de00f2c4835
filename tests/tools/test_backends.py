"""The backends below the guard: raw SQL is harmless on the connections that approved statements get.

`Database._run` runs a statement without the guard's approval. `Database.query` calls it, and so do these tests.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.backend import Session, StatementDeadline
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.postgres import PostgresSession
from aiostream_server.tools.sql.sqlite import SQLiteBackend
from tests.tools import opening

opened = partial(opening.opened, name="shop")

ENDLESS = {
    "sqlite": "SELECT COUNT(*) FROM order_items a, order_items b, order_items c WHERE a.id + b.id = c.id - 9999",
    "postgres": "SELECT COUNT(*) FROM order_items a, order_items b, order_items c WHERE a.id + b.id = c.id * random()",
}
RUNNING = """
    SELECT COUNT(*) FROM pg_stat_activity
    WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%order_items c WHERE%random()%'
"""
WRITES = [
    "DELETE FROM orders",
    "UPDATE orders SET total = 0",
    "INSERT INTO regions VALUES (9, 'Nowhere')",
    "DROP TABLE orders",
    "CREATE TABLE mine (x INTEGER)",
    "ALTER TABLE orders ADD COLUMN x INTEGER",
]
DIALECT_ATTACKS = {
    "sqlite": [
        "ATTACH DATABASE 'attack.db' AS other",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 3",
        "SELECT load_extension('x')",
        "SELECT * FROM sqlite_master",
        "SELECT randomblob(1000000000)",
        "SELECT * FROM pragma_table_info('orders')",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
        "VACUUM INTO 'attack.db'",
        "SELECT 'a' REGEXP '(a+)+$'",
        "BEGIN IMMEDIATE",
    ],
    "postgres": [
        "SELECT * FROM orders FOR UPDATE",
        "SELECT nextval('attack') FROM orders",
        "COPY orders FROM STDIN",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "SELECT 1; DELETE FROM orders",
        "VACUUM",
    ],
}


async def open_cursor(session: Session, sql: str) -> None:
    async with session.execute(sql, 1, 100):
        pass


@pytest.mark.parametrize("sql", WRITES)
async def test_a_write_is_refused_by_the_database_itself(shop: Database, sql: str) -> None:
    with pytest.raises(QueryFailed):
        await shop._run(sql)
    async with shop._backend.connect(StatementDeadline(30)) as session:
        running = session.driver.execute(sql) if isinstance(session, PostgresSession) else open_cursor(session, sql)
        with pytest.raises((asyncpg.PostgresError, QueryFailed), match=r"read-only|not authorized|prohibited"):
            await running
    assert (await shop._run("SELECT COUNT(*) FROM orders")).rows == ((1280,),)


async def test_attacks_that_are_special_to_a_dialect_fail(shop_url: str) -> None:
    async with opened(shop_url, statement_timeout_s=5.0) as database:  # which ends one of them
        for sql in DIALECT_ATTACKS[database.dialect]:
            with pytest.raises(QueryFailed):
                await database._run(sql)
        assert not Path("attack.db").exists()  # noqa: ASYNC240
        assert (await database._run("SELECT COUNT(*) FROM orders")).rows == ((1280,),)


async def test_a_statement_ends_at_its_timeout(shop_url: str) -> None:
    async with opened(shop_url, statement_timeout_s=3.0) as database:  # opening makes statements, too
        started = time.monotonic()
        with pytest.raises(QueryFailed, match=r"took longer than 3 s"):
            await database._run(ENDLESS[database.dialect])
        assert time.monotonic() - started > 2.9
        assert (await database._run("SELECT 1")).rows == ((1,),)


async def test_rows_are_capped_and_the_rest_is_counted(shop_url: str) -> None:
    async with opened(shop_url, row_limit=7) as database:
        rows = await database._run("SELECT id FROM orders ORDER BY id")
        assert [row[0] for row in rows.rows] == [1, 2, 3, 4, 5, 6, 7]
        assert (rows.truncated, rows.left_out, rows.summary) == (True, 1273, "7 rows (1,273 more left out)")


async def test_very_many_rows_are_not_counted(shop_url: str) -> None:
    async with opened(shop_url, row_limit=7) as database:
        rows = await database._run("SELECT a.id FROM orders a CROSS JOIN orders b")
        assert (rows.left_out, rows.summary) == (None, "7 rows (more left out)")


async def test_bytes_are_capped(shop_url: str) -> None:
    async with opened(shop_url, byte_limit=300) as database:
        rows = await database._run("SELECT name, segment FROM customers")
        assert 0 < len(rows.rows) < 60
        assert rows.truncated
        assert len(rows.to_markdown().encode()) < 400


async def test_exactly_as_many_rows_as_the_cap_is_not_truncated(shop_url: str) -> None:
    async with opened(shop_url, row_limit=4) as database:
        rows = await database._run("SELECT name FROM regions")
        assert (len(rows.rows), rows.truncated, rows.summary) == (4, False, "4 rows")


async def test_a_cancelled_task_stops_its_statement(shop_url: str) -> None:
    """Long before the statement's timeout the awaiting task is gone, and the database can be asked again."""
    async with opened(shop_url, statement_timeout_s=30) as database:
        task = asyncio.create_task(database._run(ENDLESS[database.dialect]))
        await asyncio.sleep(0.3)
        task.cancel()
        async with asyncio.timeout(15):
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await database._run("SELECT COUNT(*) FROM regions")).rows == ((4,),)


async def test_cancelling_stops_the_statement_in_postgresql_too(postgres_url: str) -> None:
    """`pg_stat_activity` shows the statement while it runs, and no longer once its task was cancelled."""
    observer = await asyncpg.connect(postgres_url)
    try:
        async with opened(postgres_url, statement_timeout_s=30) as database:
            task = asyncio.create_task(database._run(ENDLESS["postgres"]))
            await until(lambda: observer.fetchval(RUNNING), 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: observer.fetchval(RUNNING), 0)
    finally:
        await observer.close()


async def until(ask: Callable[[], Awaitable[int]], wanted: int) -> None:
    async with asyncio.timeout(30):
        while await ask() != wanted:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.02)


async def test_a_process_that_was_killed_while_it_waited_is_replaced(shop_path: Path) -> None:
    async with opened(f"sqlite:///{shop_path}") as database:
        assert (await database._run("SELECT 1")).rows == ((1,),)
        backend = database._backend
        assert isinstance(backend, SQLiteBackend)
        for child in backend._idle:
            os.kill(child.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            while any(child.is_alive for child in backend._idle):  # noqa: ASYNC110 - asyncio tells it to the child alone
                await asyncio.sleep(0.01)
        assert (await database._run("SELECT 2")).rows == ((2,),)


async def test_many_queries_at_once_do_not_mix(shop: Database) -> None:
    answers = await asyncio.gather(*(shop._run(f"SELECT {number}") for number in range(30)))
    assert [rows.rows[0][0] for rows in answers] == list(range(30))


async def test_the_event_loop_never_waits_for_the_database(shop: Database) -> None:
    """While a slow query runs, the loop keeps turning."""
    slow = "SELECT COUNT(*) FROM (SELECT id FROM order_items LIMIT 1000) a, order_items b WHERE a.id + b.id > 100"
    task = asyncio.create_task(shop._run(slow))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.005)
        turns += 1
    await task
    assert turns > 5


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////nowhere/at/all.db",
        "sqlite:///{text}",
        "postgresql://tester:secret@127.0.0.1:1/shop",
        "postgresql://tester:secret@127.0.0.1:1/shop?nonsense=1",
    ],
)
async def test_an_unreachable_database_is_one_readable_line(url: str, tmp_path: Path) -> None:
    text = tmp_path / "text.db"
    text.write_text("not a database " * 100)
    with pytest.raises(DatabaseUnreachable) as caught:
        await Database.open("sales", DatabaseConfig(url=url.format(text=text)))
    message = str(caught.value)
    assert message.startswith("the database 'sales' cannot be reached: ")
    assert "\n" not in message
    assert "secret" not in message
    assert "nowhere" not in message


async def test_a_wrong_password_is_unreachable_too(postgres_url: str) -> None:
    wrong = postgres_url.replace("tester:", "tester:x")
    with pytest.raises(DatabaseUnreachable, match="password authentication failed"):
        await Database.open("sales", DatabaseConfig(url=wrong))


async def test_a_database_that_goes_away_is_unreachable(tmp_path: Path, shop_path: Path) -> None:
    path = tmp_path / "gone.db"
    path.write_bytes(shop_path.read_bytes())  # noqa: ASYNC240
    async with opened(f"sqlite:///{path}") as database:
        path.unlink()
        with pytest.raises(DatabaseUnreachable):
            await database._run("SELECT 1")


async def test_a_killed_session_is_unreachable_and_the_next_is_fine(postgres_url: str) -> None:
    observer = await asyncpg.connect(postgres_url)
    try:
        async with opened(postgres_url) as database:
            task = asyncio.create_task(database._run(ENDLESS["postgres"]))
            # What is active first is its plan: that may be over before the session is ended.
            await until(lambda: observer.fetchval(RUNNING.replace("COUNT(*)", "COUNT(pg_terminate_backend(pid))")), 1)
            with pytest.raises((DatabaseUnreachable, QueryFailed)) as caught:
                await task
            assert "took longer" not in str(caught.value)
            assert (await database._run("SELECT 1")).rows == ((1,),)
    finally:
        await observer.close()


async def test_an_error_is_the_databases_message_in_one_line(shop: Database) -> None:
    with pytest.raises(QueryFailed) as caught:
        await shop._run("SELECT nope FROM orders")
    message = str(caught.value)
    assert "nope" in message
    for noise in ("\n", "sqlalche", "SELECT", "class", "Background"):
        assert noise not in message


async def test_a_statement_without_rows_is_not_a_question(postgres_url: str, shop_path: Path) -> None:
    nothing = {postgres_url: "SET search_path = public", f"sqlite:///{shop_path}": "-- nothing"}
    for url, sql in nothing.items():
        async with opened(url) as database:
            with pytest.raises(QueryFailed, match="not a question"):
                await database._run(sql)


async def test_no_more_statements_run_at_once_than_allowed(postgres_url: str) -> None:
    """Others wait, but no longer than a statement may take, and then say so."""
    observer = await asyncpg.connect(postgres_url)
    running = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(0.7), ''slot''%'"
    try:
        async with opened(postgres_url, max_statements=2, statement_timeout_s=1.0) as database:
            asked = asyncio.gather(
                *(database._run("SELECT pg_sleep(0.7), 'slot'") for _ in range(12)), return_exceptions=True
            )
            most = 0
            while not asked.done():
                most = max(most, await observer.fetchval(f"{running} AND pid <> pg_backend_pid()"))
            outcomes = await asked
        assert most <= 2
        refused = [str(outcome) for outcome in outcomes if isinstance(outcome, QueryFailed)]
        assert any("too many queries run at once" in text for text in refused)
        assert len(refused) < 12
    finally:
        await observer.close()
