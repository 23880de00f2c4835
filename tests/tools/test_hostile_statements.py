"""Nothing hostile passes the guard, wherever it stands and however it is written; no trap of a database is called."""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import pytest
import pytest_asyncio

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.errors import QueryFailed
from aiostream_server.tools.sql.guard import Approved
from tests.tools.hostile_statements import hostile_statements
from tests.tools.test_guard import GUARDS

LEAST: Final = 5_000


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_nothing_hostile_passes(dialect: DialectName, capsys: pytest.CaptureFixture[str]) -> None:
    guard, started = GUARDS[dialect], time.process_time()
    through: list[str] = []
    unquoted: list[tuple[str, str]] = []
    reasons: Counter[str] = Counter()
    statements = set(hostile_statements(dialect))
    for sql in statements:
        verdict = guard.check(sql)
        if isinstance(verdict, Approved):
            through.append(sql)
        else:
            reasons[("not understood" in verdict.reason and "not understood") or "refused"] += 1
            assert verdict.reason.isprintable(), sql
            assert re.search(r"[:;] \w", re.sub("`[^`]*`", "", verdict.reason)), verdict.reason  # what to write instead
            if not any(_words(part) in _words(sql) for part in re.findall("`([^`]*)`", verdict.reason)):
                unquoted.append((sql, verdict.reason))
            assert not re.search(r"sqlglot|<class|expressions\.", verdict.reason), (sql, verdict.reason)
    with capsys.disabled():
        took = time.process_time() - started
        counts = f"{len(statements):,} hostile statements tried, {len(through)} through"
        print(f"\n{dialect}: {counts} ({took:.1f} s, {dict(reasons)})")
    assert not through
    assert len(unquoted) < len(statements) / 100, unquoted[:9]  # the parser writes a few otherwise: `x OPERATOR(...) y`
    assert len(statements) >= LEAST
    assert reasons["refused"] > 0.9 * len(statements)  # what cannot be parsed proves little


def _words(text: str) -> str:
    """Without what does not tell: comments, spaces, quotes of names, case, and the mark of a cut."""
    return re.sub(r"/\*.*?\*/|\s+|[`'\"…/*]", "", text).lower()


TRAPS: Final = """
DROP SCHEMA IF EXISTS traps CASCADE;
DROP SCHEMA IF EXISTS apart CASCADE;
CREATE SCHEMA traps;
CREATE SCHEMA apart;
CREATE TYPE traps.place AS (city text, zip text);
CREATE TABLE traps.bills (id int, name text, home traps.place, amount numeric, tags text[]);
INSERT INTO traps.bills VALUES (1, 'a', ROW('Oslo', '1'), 2.5, '{x}');
CREATE TABLE traps.hidden (word text);
CREATE FUNCTION traps.spring() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'TRAPPED'; END $$;
CREATE FUNCTION traps.secret_of(traps.bills) RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION traps.secret_of(traps.place) RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION traps.zip(traps.bills) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION traps.lower(traps.bills) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION apart.upper(traps.bills) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION traps."coalesce"(text, text) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION traps.abs(text) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE FUNCTION traps.added(traps.bills, int) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE OPERATOR traps.+ (LEFTARG = traps.bills, RIGHTARG = int, FUNCTION = traps.added);
CREATE FUNCTION traps.joined(traps.bills, traps.bills) RETURNS boolean LANGUAGE sql AS 'SELECT traps.spring() IS NULL';
CREATE OPERATOR traps.&& (LEFTARG = traps.bills, RIGHTARG = traps.bills, FUNCTION = traps.joined);
CREATE FUNCTION traps.made(traps.bills) RETURNS int LANGUAGE sql AS 'SELECT traps.spring()::int';
CREATE CAST (traps.bills AS int) WITH FUNCTION traps.made(traps.bills);
CREATE FUNCTION traps.checks(text) RETURNS boolean LANGUAGE sql AS 'SELECT traps.spring() IS NULL';
CREATE DOMAIN traps.checked AS text CHECK (traps.checks(VALUE));
CREATE DOMAIN traps.fine AS text CHECK (VALUE <> '');
CREATE TYPE traps.holder AS (a traps.checked);
CREATE FUNCTION traps.folded(text, traps.bills) RETURNS text LANGUAGE sql AS 'SELECT traps.spring()';
CREATE AGGREGATE traps.sum (traps.bills) (SFUNC = traps.folded, STYPE = text);
"""
TRIED: Final = (
    "SELECT b.secret_of FROM bills b",
    "SELECT bills.secret_of FROM bills",
    "SELECT traps.bills.secret_of FROM bills",
    "SELECT (b).secret_of FROM bills b",
    "SELECT (b.*).secret_of FROM bills b",
    "SELECT (b.home).secret_of FROM bills b",
    "SELECT (home).secret_of FROM bills",
    "SELECT (b).zip FROM bills b",
    "SELECT b.zip FROM bills b",
    "SELECT ((home)).secret_of FROM bills",
    "SELECT (x.b).secret_of FROM (SELECT b FROM bills b) x",
    "SELECT x.secret_of FROM (SELECT * FROM bills) x",
    "SELECT x.secret_of FROM bills AS x (id)",
    "SELECT (SELECT b.secret_of) FROM bills b",
    "SELECT 1 FROM bills b ORDER BY b.secret_of",
    "SELECT 1 FROM bills b GROUP BY b.secret_of",
    "SELECT 1 FROM bills b JOIN bills c ON b.secret_of = 'x'",
    "SELECT 1 FROM bills b, LATERAL (SELECT b.secret_of) x",
    "WITH b AS (SELECT * FROM bills) SELECT b.secret_of FROM b",
    "WITH RECURSIVE b AS (SELECT * FROM bills UNION ALL SELECT * FROM b) SELECT b.secret_of FROM b LIMIT 1",
    "SELECT b.secret_of FROM (bills b JOIN bills c USING (id))",
    "SELECT j.secret_of FROM (bills b CROSS JOIN regions) AS j",
    "SELECT secret_of(b) FROM bills b",
    "SELECT traps.secret_of(b) FROM bills b",
    "SELECT apart.upper(b) FROM bills b",
    "SELECT lower(b) FROM bills b",
    "SELECT lower(name) FROM bills b",
    "SELECT abs(name) FROM bills",
    "SELECT sum(b) FROM bills b",
    "SELECT b + 1 FROM bills b",
    "SELECT x.b + 1 FROM (SELECT b FROM bills b) x",
    "SELECT b OPERATOR(traps.+) 1 FROM bills b",
    "SELECT b && b FROM bills b",
    "SELECT b::int FROM bills b",
    "SELECT CAST(b AS int) FROM bills b",
    "SELECT CAST(x.b AS integer) FROM (SELECT b FROM bills b) x",
    "SELECT 'x'::traps.checked",
    "SELECT 'x'::checked",
    "SELECT '{x}'::checked[]",
    "SELECT '(x)'::traps.holder",
    "SELECT ROW('x')::holder",
    "SELECT x.a FROM jsonb_to_record('{\"a\": 1}') AS x(a traps.checked)",
    "SELECT * FROM jsonb_populate_record(NULL::traps.holder, '{\"a\": 1}')",
    "SELECT * FROM hidden",
    "SELECT * FROM traps.hidden",
    "WITH a AS (SELECT * FROM hidden), hidden AS (SELECT 1) SELECT * FROM a",
    "WITH RECURSIVE hidden AS (SELECT * FROM traps.hidden) SELECT * FROM hidden",
    "WITH hidden AS (SELECT * FROM hidden) SELECT * FROM hidden",
    "SELECT b.ctid, b.tableoid FROM bills b",
    "SELECT ctid FROM bills",
)
STILL_FAIR: Final = (
    "SELECT b.id, (b.home).city, (home).city FROM bills b",
    "SELECT upper(name), amount * 2, tags || 'y'::text FROM bills",
    "SELECT 'x'::traps.fine, amount::numeric, ROW('a', 'b')::traps.place FROM bills",
    "SELECT to_jsonb(b), b FROM bills b",
    "SELECT coalesce(name, 'x'), nullif(name, 'y') FROM bills",
)


@pytest_asyncio.fixture
async def trapped(postgres_url: str) -> AsyncIterator[Database]:
    """A database with functions, operators, casts and checks of its own, which raise an error when they are called."""
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(TRAPS)
        settings = {"url": postgres_url, "schemas": ("traps",), "tables": ("!hidden",)}
        url = f"{postgres_url}?options=-csearch_path%3Dtraps"
        database = await Database.open("traps", DatabaseConfig.model_validate({**settings, "url": url}))
        try:
            yield database
        finally:
            await database.close()
    finally:
        await admin.execute("DROP SCHEMA traps, apart CASCADE")
        await admin.close()


async def test_no_code_of_the_database_is_called(trapped: Database, postgres_url: str) -> None:
    admin = await asyncpg.connect(f"{postgres_url}?options=-csearch_path%3Dtraps")
    sprung = 0
    try:
        for sql in TRIED:
            try:
                await admin.fetch(sql)
            except asyncpg.PostgresError as exc:
                sprung += "TRAPPED" in str(exc)
            with pytest.raises(QueryFailed, match=r"^not run: ") as refused:
                await trapped.ask(sql)
            assert "`" in str(refused.value)
    finally:
        await admin.close()
    assert sprung >= 25  # without the guard, these do call a trap
    for sql in STILL_FAIR:
        assert (await trapped.ask(sql)).rows
