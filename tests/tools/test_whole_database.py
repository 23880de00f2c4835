"""All of a real database can be asked: several schemas, its own types, views; one bad object spoils nothing else."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.reflection.choice import is_chosen
from tests.tools.opening import opened

MADE = """
DROP SCHEMA IF EXISTS sales CASCADE;
DROP SCHEMA IF EXISTS crm CASCADE;
CREATE SCHEMA sales;
CREATE SCHEMA crm;
CREATE TYPE sales.state AS ENUM ('open', 'closed');
CREATE DOMAIN sales.email AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE crm.customers (id int PRIMARY KEY, name text, mail sales.email);
CREATE TABLE sales.invoices (
    id int PRIMARY KEY, customer int REFERENCES crm.customers (id), amount numeric(10, 2), state sales.state,
    region text, tags text[], items jsonb, cents bigint GENERATED ALWAYS AS ((amount * 100)::bigint) STORED
);
COMMENT ON TABLE sales.invoices IS 'One row for each invoice';
COMMENT ON COLUMN sales.invoices.amount IS 'in EUR';
CREATE MATERIALIZED VIEW sales.totals AS SELECT customer, sum(amount) AS total FROM sales.invoices GROUP BY 1;
CREATE TABLE sales.events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE sales.events_2024 PARTITION OF sales.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO crm.customers VALUES (1, 'Ada', 'ada@example.org'), (2, 'Bob', NULL);
INSERT INTO sales.invoices VALUES
    (1, 1, 12.50, 'open', 'north', '{a,b}', '[{"sku": "x", "qty": 2}]'),
    (2, 2, 30.00, 'closed', 'south', '{b}', '[{"sku": "y", "qty": 1}, {"sku": "x", "qty": 3}]');
INSERT INTO sales.events VALUES ('2024-05-01', 'start');
REFRESH MATERIALIZED VIEW sales.totals;
CREATE FUNCTION sales.secret_of(sales.invoices) RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT 'secret' $$;
"""
ANSWERED = {
    "SELECT count(*) FROM sales.invoices": ((2,),),
    "SELECT c.name, sum(i.amount) AS s FROM sales.invoices i JOIN crm.customers c ON c.id = i.customer "
    "GROUP BY 1 ORDER BY 1": None,
    "SELECT sales.invoices.region FROM sales.invoices WHERE sales.invoices.id = 1": (("north",),),
    "SELECT count(*) FROM postgres.sales.invoices": ((2,),),
    "SELECT count(*) FROM sales.invoices WHERE state = 'open'::sales.state": ((1,),),
    "SELECT total::int FROM sales.totals WHERE customer = 2": ((30,),),
    "SELECT what FROM sales.events": (("start",),),
    "SELECT what FROM sales.events_2024": (("start",),),
    "SELECT t, count(*) FROM sales.invoices, unnest(tags) AS t GROUP BY t ORDER BY t": (("a", 1), ("b", 2)),
    "SELECT tags[1] FROM sales.invoices ORDER BY id": (("a",), ("b",)),
    "SELECT item->>'sku', sum((item->>'qty')::int) FROM sales.invoices, jsonb_array_elements(items) AS item "
    "GROUP BY 1 ORDER BY 1": (("x", 5), ("y", 1)),
    """SELECT id FROM sales.invoices WHERE items @> '[{"sku": "y"}]'""": ((2,),),
    "SELECT items #>> '{0,sku}' FROM sales.invoices ORDER BY id": (("x",), ("y",)),
    "SELECT id FROM sales.invoices WHERE tags && ARRAY['a']": ((1,),),
    "SELECT d::date FROM generate_series(date '2024-01-01', date '2024-03-01', interval '1 month') AS d": (
        *(("2024-01-01",), ("2024-02-01",), ("2024-03-01",)),
    ),
}
REFUSED = {
    "SELECT i.secret_of FROM sales.invoices i": "there is no column `secret_of` in `i`",
    "SELECT x.secret_of FROM (SELECT i.* FROM sales.invoices i) x": "there is no column `secret_of` in `x`",
    "SELECT i.secret_of FROM sales.invoices i, (SELECT 1 AS secret_of) x": "there is no column `secret_of` in `i`",
    "SELECT sales.invoices.secret_of FROM sales.invoices": "there is no column `secret_of` in `sales.invoices`",
    "SELECT (SELECT i.secret_of) FROM sales.invoices i": "there is no column `secret_of` in `i`",
    "SELECT 1 FROM sales.invoices i ORDER BY i.secret_of": "there is no column `secret_of` in `i`",
    "SELECT 1 FROM sales.invoices i JOIN crm.customers c ON c.id = i.secret_of::int": "there is no column `secret_of`",
    "SELECT 1 FROM sales.invoices i, crm.customers c TABLESAMPLE SYSTEM ((i.secret_of))": "needs literal numbers",
    "SELECT secret_of(i) FROM sales.invoices i": "the function `secret_of` is not allowed",
    "SELECT (i).secret_of FROM sales.invoices i": "is not allowed",
    "SELECT * FROM other.invoices": "the schema `other` is not open to questions",
    "SELECT * FROM elsewhere.sales.invoices": "the database `elsewhere` is not this one",
    "SELECT d FROM generate_series(1, 1000000) d": "could give more than 10,000 rows",
    "SELECT * FROM jsonb_array_elements((SELECT jsonb_agg(id) FROM sales.invoices)) e": "over a subquery it is not",
}


@pytest.fixture
async def made(postgres_url: str) -> AsyncIterator[str]:
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(MADE)
    try:
        yield postgres_url
    finally:
        await admin.execute("DROP SCHEMA sales CASCADE; DROP SCHEMA crm CASCADE")
        await admin.close()


async def test_several_schemas_are_asked_by_qualified_names(made: str) -> None:
    async with opened(made, schemas=("sales", "crm")) as database:
        for sql, rows in ANSWERED.items():
            found = await database.ask(sql)
            assert rows is None or found.rows == rows, sql
        for sql, reason in REFUSED.items():
            with pytest.raises(QueryFailed, match="not run: ") as caught:
                await database.ask(sql)
            assert reason in str(caught.value), sql


async def test_the_schema_tells_types_values_comments_and_notes(made: str) -> None:
    settings: dict[str, Any] = {
        "schemas": ("sales", "crm"),
        "description": "Everything that we sold",
        "notes": {"sales.invoices": "cancelled ones are left out", "sales.invoices.region": "where the buyer lives"},
    }
    async with opened(made, **settings) as database:
        text = (await database.schema()).describe()
    for line in (
        "-- Everything that we sold",
        "-- sales.invoices: One row for each invoice",
        "-- sales.invoices: cancelled ones are left out",
        "CREATE TABLE sales.invoices (",
        "  customer INTEGER REFERENCES crm.customers (id),",
        "  amount NUMERIC(10, 2), -- in EUR",
        "  state sales.state, -- one of 'open', 'closed'",
        "  region TEXT, -- e.g. 'north', 'south'; where the buyer lives",
        "  cents BIGINT -- generated",
        "CREATE VIEW sales.totals (",
        "CREATE TABLE sales.events (",
    ):
        assert line in text.splitlines(), line
    assert "events_2024" not in text


async def test_without_schemas_those_of_the_search_path_are_asked(made: str) -> None:
    async with opened(f"{made}?options=-csearch_path%3Dsales,crm") as database:
        assert [table.full_name for table in (await database.schema()).tables][:2] == ["customers", "events"]
        rows = await database.ask("SELECT c.name FROM invoices i JOIN customers c ON c.id = i.customer WHERE i.id = 1")
        assert rows.rows == (("Ada",),)


async def test_an_unknown_schema_is_named(postgres_url: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="it has no schema nowhere"):
        await Database.open("it", DatabaseConfig(url=postgres_url, schemas=("nowhere",)))


async def test_tables_are_chosen_by_patterns(made: str) -> None:
    async with opened(made, schemas=("sales", "crm"), tables=("sales.*", "!*totals", "!*events*")) as database:
        assert [table.full_name for table in (await database.schema()).tables] == ["sales.invoices"]
        with pytest.raises(QueryFailed, match="the schema `crm` is not open"):
            await database.ask("SELECT * FROM crm.customers")


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], True),
        (["orders"], True),
        (["ORDERS"], True),
        (["sales.*"], True),
        (["customers"], False),
        (["!orders"], False),
        (["!tmp_*"], True),
        (["*", "!sales.orders"], False),
        (["!*", "orders"], True),
    ],
)
def test_the_last_pattern_that_matches_decides(patterns: list[str], chosen: bool) -> None:
    assert is_chosen(["orders", "sales.orders"], patterns) is chosen


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    """A view of a dropped table, a virtual table without its module, and a full-text index beside a good table."""
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, size AS (length(name)));
            CREATE TABLE gone (id INTEGER);
            CREATE VIEW old AS SELECT id FROM gone;
            DROP TABLE gone;
            CREATE VIRTUAL TABLE words USING fts5(body);
            CREATE TABLE words_of_day (word TEXT);
            INSERT INTO items (name) VALUES ('a'), ('b');
            PRAGMA writable_schema = ON;
            INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(a float[4])');
            """
        )
    return f"sqlite:///{path}"


async def test_what_cannot_be_opened_is_skipped_and_named(damaged: str) -> None:
    async with opened(damaged) as database:
        schema = await database.schema()
        assert [table.name for table in schema.tables] == ["items", "words_of_day"]
        assert {each.name: each.reason for each in schema.skipped} == {
            "old": "no such table: main.gone",
            "v": "no such module: vec0",
        }
        assert schema.summary() == ("2 tables; 2 skipped (old: no such table: main.gone; v: no such module: vec0)")
        assert (await database.ask("SELECT COUNT(*), MAX(size) FROM items")).rows == ((2, 1),)
        assert (await database.ask("SELECT i.value FROM items, json_each('[1]') AS i")).rows == ((1,), (1,))


async def test_sqlite_has_no_schemas(damaged: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="SQLite has no schemas"):
        await Database.open("it", DatabaseConfig(url=damaged, schemas=("sales",)))
