"""Databases behind a real PgBouncer: limits hold in every transaction, and no setting reaches another client."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest
from sqlalchemy import make_url

from aiostream_server.config.model import ConversationsConfig, DatabaseConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.conversations import Address, TeamMemory, open_conversations
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from tests.kit.needs import needs
from tests.kit.pgbouncer import running_pgbouncer

pytestmark = [needs("postgres"), needs("pgbouncer")]

LIMITS: Final = """
    SELECT current_setting('transaction_read_only'), current_setting('statement_timeout'),
           current_setting('TimeZone'), current_setting('search_path'), current_setting('DateStyle')
"""
"""What a statement is limited by; another client of the pool must see the server's own."""
LIMITED: Final = (("on", "3s", "Asia/Kolkata", "public, crm", "ISO, MDY"),)
AT_ONCE: Final = 40


@pytest.fixture(scope="module")
def transaction_url(postgres_url: str) -> Iterator[str]:
    with running_pgbouncer(postgres_url, "transaction") as url:
        yield url


@pytest.fixture(scope="module")
def session_url(postgres_url: str) -> Iterator[str]:
    with running_pgbouncer(postgres_url, "session", 8) as url:
        yield url


@pytest.fixture(params=["transaction", "session"])
def pooled_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def config_for(url: str, **more: object) -> DatabaseConfig:
    return DatabaseConfig.model_validate({"url": url, "statement_timeout_s": 3.0, "timezone": "Asia/Kolkata", **more})


async def test_limits_hold_on_every_statement_and_reach_no_other_client(pooled_url: str) -> None:
    """Many statements over a small pool, while another client asks through the same pool."""
    other = await asyncpg.connect(pooled_url, statement_cache_size=0)
    try:
        untouched = await other.fetchrow(LIMITS)
        database = await Database.open("shop", config_for(f"{pooled_url}?schema=public,%20crm"))
        try:
            asked = [database._run(LIMITS) for _ in range(AT_ONCE)]
            between = [await other.fetchrow(LIMITS) for _ in range(3)]
            found = await asyncio.gather(*asked)
            between += [await other.fetchrow(LIMITS) for _ in range(5)]
        finally:
            await database.close()
        assert {rows.rows for rows in found} == {LIMITED}
        assert set(between) == {untouched}
        assert untouched[:2] == ("off", "0")
    finally:
        await other.close()


async def test_statements_of_one_pool_do_not_break_each_other(transaction_url: str) -> None:
    """Two databases share two connections: statements that were prepared under one name would collide."""
    first, second = [await Database.open(name, config_for(transaction_url)) for name in ("first", "second")]
    try:
        asked = [each._run(f"SELECT {n} AS n, '{n}' AS t") for n in range(AT_ONCE) for each in (first, second)]
        answers = await asyncio.gather(*asked)
        assert [rows.rows for rows in answers] == [((n, str(n)),) for n in range(AT_ONCE) for _ in range(2)]
        with pytest.raises(QueryFailed, match="division by zero"):
            await first.ask("SELECT 1 / (id - 1) FROM regions")
        rows = await second.ask(
            "SELECT r.name, COUNT(*) FROM regions r JOIN customers c ON c.region_id = r.id GROUP BY 1"
        )
        assert len(rows.rows) == 4
    finally:
        await first.close()
        await second.close()


async def test_nothing_stays_prepared_in_the_pool(transaction_url: str, postgres_url: str) -> None:
    database = await Database.open("shop", config_for(transaction_url))
    try:
        for number in range(5):
            await database._run(f"SELECT {number}")
        kept = await database._run("SELECT COUNT(*) FROM pg_prepared_statements WHERE name <> ''")
        assert kept.rows == ((0,),)
    finally:
        await database.close()


async def test_a_statement_stops_at_its_limit_through_the_pool(transaction_url: str, postgres_url: str) -> None:
    """Also the statement in the server, so that the pool's connection is free for the next client."""
    database = await Database.open("shop", config_for(transaction_url, statement_timeout_s=1.0))
    admin = await asyncpg.connect(postgres_url)
    try:
        with pytest.raises(QueryFailed, match="took longer than 1 s"):
            await database._run("SELECT pg_sleep(60), 'pooled'")
        assert (await database._run("SELECT 1")).rows == ((1,),)
        left = (
            "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60), ''pooled''%'"
        )
        assert await admin.fetchval(f"{left} AND pid <> pg_backend_pid()") == 0
    finally:
        await admin.close()
        await database.close()


async def test_a_pool_that_ends_transactions_early_is_named(postgres_url: str) -> None:
    with running_pgbouncer(postgres_url, "statement") as url:
        with pytest.raises(DatabaseUnreachable, match="set pool_mode = transaction or session there"):
            await Database.open("shop", config_for(url))
        with pytest.raises(ConfigError, match="set pool_mode = transaction or session there"):
            async with open_conversations(ConversationsConfig(url=url), Path("/nowhere")):
                pass


async def test_conversations_are_kept_through_the_pool(pooled_url: str) -> None:
    url = make_url(pooled_url).set(database="kept").render_as_string(hide_password=False)
    config = ConversationsConfig(url=f"{url}?options=-csearch_path%3Dpublic")
    chats = [Address("pool", f"user{number}", "chat") for number in range(12)]
    async with open_conversations(config, Path("/nowhere")) as one, open_conversations(config, Path("/nowhere")) as two:
        for store in (one, two):
            kept = TeamMemory("general", "asked", ("answer",), b"{}", b"[]")
            await asyncio.gather(*(store.keep(chat, kept) for chat in chats))
        found = await asyncio.gather(*(store.recall(chat) for store in (one, two) for chat in chats))
        assert [len(memories) for memories in found] == [1] * 24
        await one.delete(key_id="pool")
