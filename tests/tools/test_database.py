"""A database as the teams see it: URLs, schema, guard and rows, on the real SQLite and the real PostgreSQL."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import make_url

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database, normalise_url
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed, driver_message
from aiostream_server.tools.sql.guard import Approved, Blocked
from aiostream_server.tools.sql.schema import Column, Schema, Table
from aiostream_server.tools.sql.sqlite import read_only_uri

SALES = """
    SELECT r.name AS region, SUM(o.total) AS total FROM regions r JOIN customers c ON c.region_id = r.id
    JOIN orders o ON o.customer_id = c.id GROUP BY r.name ORDER BY total DESC
"""


async def execute(url: str, *statements: str) -> None:
    """Run statements as PostgreSQL's superuser."""
    admin = await asyncpg.connect(url)
    try:
        for sql in statements:
            await admin.execute(sql)
    finally:
        await admin.close()


async def test_both_databases_answer_a_question_alike(shop: Database) -> None:
    approved = await shop.check(SALES)
    assert isinstance(approved, Approved)
    assert approved.reason == "one read-only SELECT on customers, orders, regions"
    assert approved.tables == ("customers", "orders", "regions")
    rows = await shop.ask(SALES)
    assert rows.columns == ("region", "total")
    assert rows.rows == (("East", 169168.25), ("North", 75667.75), ("West", 62347.25), ("South", 56288.5))
    assert rows.summary == "4 rows"


async def test_only_an_approved_statement_runs(shop: Database) -> None:
    for sql in ("DELETE FROM orders", "SELECT * FROM secrets", ""):
        with pytest.raises(QueryFailed, match="not run: "):
            await shop.ask(sql)
    assert (await shop.ask("SELECT COUNT(*) FROM orders")).rows == ((1280,),)


async def test_the_schema_reads_as_create_statements(shop: Database) -> None:
    schema = await shop.schema()
    assert [table.name for table in schema.tables] == sorted(table.name for table in schema.tables)
    title, _, tables = schema.describe(["regions", "ORDERS"]).partition("\n")
    assert title.startswith({"sqlite": "-- SQLite 3.", "postgres": "-- PostgreSQL "}[shop.dialect])
    assert schema.timezone in title
    assert tables == (
        "CREATE TABLE regions (\n"
        "  id INTEGER PRIMARY KEY,\n"
        "  name TEXT NOT NULL -- e.g. 'East', 'North', 'South', 'West'\n"
        ");\n"
        "CREATE TABLE orders (\n"
        "  id INTEGER PRIMARY KEY,\n"
        "  customer_id INTEGER NOT NULL REFERENCES customers (id),\n"
        "  ordered_on DATE NOT NULL,\n"
        "  channel TEXT NOT NULL, -- e.g. 'Phone', 'Shop', 'Web'\n"
        "  total NUMERIC(10, 2) NOT NULL\n"
        ");"
    )
    assert schema.describe().count("CREATE TABLE") == 6
    with pytest.raises(LookupError, match="there is no table nope; there are: categories, customers"):
        schema.describe(["nope"])


async def test_the_schema_is_read_again_when_it_is_old(tmp_path: Path, shop_path: Path) -> None:
    path = tmp_path / "growing.db"
    path.write_bytes(shop_path.read_bytes())  # noqa: ASYNC240
    kept = await Database.open("kept", DatabaseConfig(url=f"sqlite:///{path}"))
    fresh = await Database.open("fresh", DatabaseConfig(url=f"sqlite:///{path}"), schema_lifetime_s=0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "Odd name" (a, b TEXT NOT NULL, PRIMARY KEY (a, b))')
        connection.execute("CREATE VIEW big AS SELECT id, total FROM orders WHERE total > 1000")
        connection.execute("CREATE TABLE notes (body TEXT)")
        connection.execute("INSERT INTO notes VALUES ('it''s' || char(10) || 'two lines')")
        connection.commit()
    assert len((await kept.schema()).tables) == 6
    text = (await fresh.schema()).describe()
    assert 'CREATE TABLE "Odd name" (\n  a,\n  b TEXT NOT NULL,\n  PRIMARY KEY (a, b)\n);' in text
    assert "CREATE VIEW big (\n  id INTEGER,\n  total NUMERIC(10, 2)\n);" in text
    assert "body TEXT -- e.g. 'it''s two lines'" in text
    assert isinstance(await kept.check("SELECT * FROM big"), Blocked)
    assert (await fresh.ask('SELECT COUNT(*) FROM "odd NAME", big')).rows == ((0,),)
    await kept.close()
    await fresh.close()


async def test_the_guards_verdict_is_never_older_than_the_schema_may_be(tmp_path: Path, shop_path: Path) -> None:
    """A table created later can be queried. Where the schema cannot be read, the last one is used."""
    path = tmp_path / "growing.db"
    path.write_bytes(shop_path.read_bytes())  # noqa: ASYNC240
    database = await Database.open("fresh", DatabaseConfig(url=f"sqlite:///{path}"), schema_lifetime_s=0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE later (id INTEGER)")
    assert (await database.ask("SELECT * FROM later")).rows == ()
    path.unlink()
    assert isinstance(await database.check("SELECT * FROM later"), Approved)
    assert isinstance(await database.check("DROP TABLE later"), Blocked)
    await database.close()


async def test_the_schema_leaves_out_what_the_role_may_not_read(postgres_url: str) -> None:
    """The schema and the guard's messages name no such table, no such column, and no key that refers to one."""
    await execute(
        postgres_url,
        "CREATE TABLE secrets (id INT PRIMARY KEY, word TEXT)",
        "CREATE TABLE partly (id INT PRIMARY KEY, shown TEXT, hidden TEXT, secret INT REFERENCES secrets (id))",
        "INSERT INTO partly VALUES (1, 'a', 'b', NULL)",
        "CREATE ROLE clerk LOGIN PASSWORD 'clerk'",
        "GRANT SELECT (shown, secret) ON partly TO clerk",
        "GRANT SELECT ON orders TO clerk",
    )
    try:
        url = make_url(postgres_url).set(username="clerk", password="clerk").render_as_string(hide_password=False)
        database = await Database.open("clerk", DatabaseConfig(url=url))
        schema = await database.schema()
        assert [table.name for table in schema.tables] == ["orders", "partly"]
        assert schema.describe(["partly"]).splitlines()[1:] == [
            "CREATE TABLE partly (",
            "  shown TEXT, -- e.g. 'a'",
            "  secret INTEGER",
            ");",
        ]
        assert "REFERENCES" not in schema.describe()
        verdict = await database.check("SELECT * FROM secrets")
        assert verdict == Blocked("there is no table `secrets`; there are: orders, partly")
        assert (await database.ask("SELECT shown FROM partly")).rows == (("a",),)
        with pytest.raises(QueryFailed, match="permission denied for table secrets"):
            await database._run("SELECT * FROM secrets")
        await database.close()
    finally:
        await execute(postgres_url, "DROP TABLE partly, secrets", "DROP OWNED BY clerk", "DROP ROLE clerk")


async def test_views_and_odd_names_of_postgresql(postgres_url: str) -> None:
    """Materialized views are views; a name with capitals is written in quotes."""
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(
        """
        CREATE MATERIALIZED VIEW big_orders AS SELECT * FROM orders WHERE total > 1000;
        CREATE TABLE "Mixed" ("Case" TEXT, at TIMESTAMPTZ);
        INSERT INTO "Mixed" VALUES ('yes', '2025-01-01T00:00:00Z');
        CREATE ROLE guest LOGIN PASSWORD 'guest';
        GRANT SELECT ON big_orders, orders, regions, "Mixed" TO guest;
        """
    )
    try:
        url = make_url(postgres_url).set(username="guest", password="guest").render_as_string(hide_password=False)
        database = await Database.open("guest", DatabaseConfig(url=url))
        text = (await database.schema()).describe()
        assert "CREATE VIEW big_orders (" in text
        assert "\"Case\" TEXT, -- e.g. 'yes'" in text
        assert "'East', 'North'" in text
        assert isinstance(await database.check('SELECT * FROM "mixed"'), Blocked)
        rows = await database.ask('SELECT "Case", at AT TIME ZONE \'UTC\' FROM "Mixed"')
        assert rows.rows == (("yes", "2025-01-01 00:00:00"),)
        await database.close()
    finally:
        await admin.execute('DROP MATERIALIZED VIEW big_orders; DROP TABLE "Mixed"')
        await admin.execute("DROP OWNED BY guest; DROP ROLE guest")
        await admin.close()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("sqlite:///shop.db", "sqlite+aiosqlite:///shop.db"),
        ("sqlite+aiosqlite:////var/shop.db", "sqlite+aiosqlite:////var/shop.db"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql://u:p@h:5433/d", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+psycopg2://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?sslmode=require"),
    ],
)
def test_urls_as_people_write_them(text: str, url: str) -> None:
    assert normalise_url(text).render_as_string(hide_password=False) == url


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mysql://u:secret@h/d", "mysql:// databases cannot be asked"),
        ("postgresql://u:secret@h:port/d", "not a database URL"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:x?mode=rwc", "must name a file"),
    ],
)
async def test_an_invalid_url_gives_one_line_without_the_password(text: str, complaint: str) -> None:
    with pytest.raises(DatabaseUnreachable, match=complaint) as caught:
        await Database.open("x", DatabaseConfig(url=text))
    assert "secret" not in str(caught.value)


def test_odd_file_names_survive_in_the_uri() -> None:
    assert read_only_uri(normalise_url("sqlite:////a/b?c")) == "file:/a/b?mode=ro"
    assert read_only_uri(normalise_url("sqlite:////a/b#c %3f")).startswith("file:/a/b%23c%20")


def test_describe_shows_what_there_is() -> None:
    table = Table("order", (Column("id", "INTEGER"), Column("x", "TEXT", True, ("user", "id"))), ("id",))
    assert Schema("postgres", (table,)).describe() == (
        '-- PostgreSQL\nCREATE TABLE "order" (\n  id INTEGER PRIMARY KEY,\n  x TEXT REFERENCES "user" (id)\n);'
    )
    assert Schema("sqlite", ()).describe() == "-- SQLite"


def test_an_error_is_one_line_without_paths() -> None:
    assert driver_message(ValueError("cannot open /var/lib/shop/shop.db\n  in it")) == "cannot open (a path) in it"
    assert driver_message(ValueError()) == "ValueError"
    assert driver_message(ValueError("x" * 1000)).endswith("x…")
    assert driver_message(ValueError("division of 1/2 by and/or")) == "division of 1/2 by and/or"


async def test_a_server_that_never_answers_is_unreachable() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = DatabaseConfig(url=f"postgresql://u@127.0.0.1:{port}/d", statement_timeout_s=0.1)
        with pytest.raises(DatabaseUnreachable, match="took longer"):
            await Database.open("mute", config)


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing.db", "there is no such file; the path"), ("", "its file cannot be read: is a directory")],
)
async def test_a_file_that_cannot_be_opened_is_told_with_the_reason_and_without_its_path(
    tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(DatabaseUnreachable, match=f"'x' cannot be reached: {why}") as caught:
        await Database.open("x", DatabaseConfig(url=f"sqlite:///{tmp_path / name}"))
    assert tmp_path.name not in str(caught.value)


async def test_a_locked_file_is_unreachable_after_the_statement_timeout(tmp_path: Path, shop_path: Path) -> None:
    path = tmp_path / "locked.db"
    path.write_bytes(shop_path.read_bytes())  # noqa: ASYNC240
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseUnreachable, match="database is locked"):
            await Database.open("x", DatabaseConfig(url=f"sqlite:///{path}", statement_timeout_s=0.1))
