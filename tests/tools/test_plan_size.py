"""What PostgreSQL would gather into one value is known from its plan: fair statements run, and large ones do not."""

# ruff: noqa: S608 - the statements are made up here

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import QueryFailed
from tests.kit.needs import needs

pytestmark = needs("postgres")

FAIR = [
    "SELECT region_id, string_agg(c.name, ', ' ORDER BY c.id) FROM customers c GROUP BY region_id",
    "SELECT array_agg(DISTINCT segment) FROM customers",
    "SELECT json_agg(x) FROM (SELECT region_id, count(*) AS n FROM customers GROUP BY 1) x",
    "SELECT jsonb_object_agg(name, id) FROM regions",
    "SELECT grp, array_agg(id ORDER BY id) FROM events WHERE id < 2000 GROUP BY 1",
    "SELECT grp, length(string_agg(name, ',')) FROM events GROUP BY grp ORDER BY 2 DESC",
    "SELECT string_agg(s, ';') FROM (SELECT grp, string_agg(name, ',') AS s FROM events WHERE id < 500 GROUP BY grp) x",
    "SELECT (array_agg(name ORDER BY id))[1] FROM customers",
    "SELECT upper(replace(string_agg(name, ', '), ', ', ' / ')) FROM customers",
    "SELECT id FROM events WHERE id = ANY(ARRAY(SELECT id FROM orders)) ORDER BY id LIMIT 3",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a.id) FROM events a",
    "SELECT string_agg(name, ',') OVER (PARTITION BY region_id ORDER BY id) FROM customers",
    "SELECT array_agg(a.id) FROM regions a, regions b",
]
LARGE = [
    "SELECT array_agg(a.id) FROM events a, events b",
    "SELECT jsonb_agg(a) FROM events a, regions b",
    "SELECT grp, string_agg(a.name, ',') FROM events a, regions b, regions c, regions d, regions e GROUP BY 1",
    "SELECT max(length(s)) FROM (SELECT string_agg(a.name, ',') OVER () AS s FROM events a, customers b) x",
    "WITH g AS (SELECT string_agg(name, '') AS s FROM events) SELECT array_agg(s) FROM g, customers",
    "SELECT string_agg(lpad(a.name, 1000), '') FROM events a",
    "SELECT string_agg(repeat(a.name, 100), '') FROM events a",
    "SELECT ARRAY(SELECT a.id FROM events a, events b)",
    "SELECT array_agg((SELECT string_agg(b.name, ',') FROM events b)) FROM customers a",
    "SELECT " + ", ".join(f"array_agg(id + {number})" for number in range(40)) + " FROM events",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """The shop, which was never analyzed, and a table that was."""
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("CREATE SCHEMA planned")
    await admin.execute(
        "CREATE TABLE planned.events AS SELECT i AS id, 'customer ' || i AS name, i % 50 AS grp "
        "FROM generate_series(1, 50000) AS i"
    )
    await admin.execute("ANALYZE planned.events")
    database = await Database.open("shop", DatabaseConfig(url=f"{postgres_url}?schema=public,planned"))
    try:
        yield database
    finally:
        await database.close()
        await admin.execute("DROP SCHEMA planned CASCADE")
        await admin.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("sql", FAIR)
async def test_a_fair_statement_runs(database: Database, sql: str) -> None:
    assert (await database.ask(sql)).rows


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("sql", LARGE)
async def test_what_gathers_too_much_is_stopped_before_it_runs(database: Database, sql: str) -> None:
    with pytest.raises(
        QueryFailed, match=r"gather about [\d,.]+( million)? rows with .* needs more than 64 MiB|grow|long"
    ):
        await database.ask(sql)


@pytest.mark.asyncio(loop_scope="module")
async def test_many_sorts_share_the_memory(database: Database) -> None:
    sorts = ", ".join(f"(SELECT id FROM regions ORDER BY id + {number} OFFSET 1) AS s{number}" for number in range(12))
    shown = await database._run(f"SELECT current_setting('work_mem'), count(*) FROM {sorts} LIMIT 1")
    assert shown.rows[0][0] == "4MB"  # of 256 MiB, each of twenty-odd steps may have more than that
    small = DatabaseConfig(url=database._config.resolved_url.get_secret_value(), statement_memory_bytes=64 * 1024**2)
    other = await Database.open("small", small)
    try:
        shown = await other._run(f"SELECT current_setting('work_mem'), count(*) FROM {sorts} LIMIT 1")
        assert shown.rows[0][0] != "4MB"
    finally:
        await other.close()
