"""Recursion, series and repeated texts are bounded while they run, with an error and never with a result cut short."""

# ruff: noqa: S608
from pathlib import Path

import pytest

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.bounds import (
    MAX_RECURSION_ROWS,
    MAX_SERIES,
    TOO_LONG_ROW,
    TOO_LONG_SERIES,
    TOO_LONG_TEXT,
    TOO_MANY_ROWS,
)
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import QueryFailed

COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n{where}) "
ANSWERED = {
    COUNT.format(where=f" WHERE i < {MAX_RECURSION_ROWS}") + "SELECT count(*) FROM n": ((MAX_RECURSION_ROWS,),),
    COUNT.format(where="") + "SELECT i FROM n LIMIT 2": ((1,), (2,)),
    COUNT.format(where="") + "SELECT a.i FROM n AS a(i) ORDER BY 1 LIMIT 0": (),
    COUNT.format(where=" WHERE i < 3") + "SELECT n.i, m.i FROM n JOIN n AS m ON m.i = n.i + 1": ((1, 2), (2, 3)),
    COUNT.format(where=" WHERE i < 3") + ", m AS (SELECT * FROM n) SELECT (SELECT max(i) FROM m), n FROM n LIMIT 1": (
        (3, "(1)"),
    ),
    "WITH RECURSIVE n AS (SELECT 1 AS n UNION SELECT n % 5 + 1 FROM n) SELECT n FROM n ORDER BY n": tuple(
        (number,) for number in range(1, 6)
    ),
    "WITH RECURSIVE n AS (SELECT 1 AS i) SELECT i FROM n": ((1,),),
    "SELECT count(*) FROM generate_series((SELECT min(id) FROM orders), (SELECT max(id) FROM orders)) AS g": ((1280,),),
    "SELECT count(*) FROM generate_series(current_date - 6, current_date, '1 day') AS d": ((7,),),
    "SELECT count(*) FROM generate_series('2024-01-01', current_date - current_date + date '2024-01-05', '1 day') d": (
        (5,),
    ),
    "SELECT count(*) FROM generate_series(5 - 0, 1, -1) AS g": ((5,),),
    f"SELECT count(*) FROM generate_series(1, (SELECT {MAX_SERIES})) AS g": ((MAX_SERIES,),),
    "SELECT max(g) FROM (SELECT generate_series(min(id), max(id)) AS g FROM regions) s": ((4,),),
    "SELECT id, g FROM regions CROSS JOIN LATERAL generate_series(1, id) AS g WHERE id < 3 ORDER BY 1, 2": (
        *((1, 1), (2, 1), (2, 2)),
    ),
    "SELECT repeat('*', id::int) FROM regions ORDER BY id LIMIT 2": (("*",), ("**",)),
    "SELECT lpad('7', length('abc'), '0'), rpad('x', 3, '.')": (("007", "x.."),),
}
STOPPED = {
    COUNT.format(where="") + "SELECT count(*) FROM n": TOO_MANY_ROWS,
    COUNT.format(where="") + "SELECT i FROM n WHERE i < 5": TOO_MANY_ROWS,
    COUNT.format(where=f" WHERE i <= {MAX_RECURSION_ROWS}") + "SELECT count(*) FROM n": TOO_MANY_ROWS,
    COUNT.format(where="") + ", m AS (SELECT i FROM n) SELECT max(i) FROM m": TOO_MANY_ROWS,
    "SELECT (WITH RECURSIVE n(i) AS (SELECT id FROM regions WHERE id < 3 UNION ALL SELECT i FROM n) SELECT max(i) "
    "FROM n)": TOO_MANY_ROWS,
    "WITH RECURSIVE t(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM t) SELECT max(length(x)) FROM t": TOO_LONG_ROW,
    "WITH RECURSIVE t(x) AS (SELECT ARRAY[1] UNION SELECT x || x FROM t) SELECT count(*) FROM t": TOO_LONG_ROW,
    "WITH RECURSIVE a(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM a), b(i) AS (SELECT 1 UNION ALL SELECT b.i + a.i "
    "FROM b, a WHERE b.i < 9) SELECT count(*) FROM b": TOO_MANY_ROWS,
    "SELECT count(*) FROM generate_series(1, (SELECT max(id) * 1000 FROM orders)) AS g": TOO_LONG_SERIES,
    "SELECT count(*) FROM generate_series((SELECT 100000), 1, -1) AS g": TOO_LONG_SERIES,
    "SELECT count(*) FROM generate_series(now() - interval '99 years', now(), '1 hour') AS d": TOO_LONG_SERIES,
    "SELECT repeat('*', id * 1000) FROM orders": TOO_LONG_TEXT,
    "SELECT lpad('x', (id * 1000)::int) FROM orders": TOO_LONG_TEXT,
}
REFUSED = (
    "SELECT * FROM generate_series(1, 1000000) g",
    "SELECT * FROM generate_series(1, (random() * 1e9)::int) g",
    "SELECT * FROM generate_series(1, (SELECT max(g) FROM generate_series(1, 9) g)) g",
    "SELECT * FROM generate_series('1', (SELECT max(id) FROM orders)) g",
    "SELECT repeat('x', 1000000)",
    "SELECT repeat('x', (random() * 1e9)::int)",
    "SELECT repeat(repeat(repeat('x', 1000), 1000), 1000)",
    "SELECT factorial(30000 + 1)",
)


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


async def test_bounds_hold_while_the_statement_runs(url: str) -> None:
    database = await Database.open("shop", DatabaseConfig(url=url))
    try:
        for sql, rows in ANSWERED.items():
            assert (await database.ask(sql)).rows == rows, sql
        for sql, message in STOPPED.items():
            with pytest.raises(QueryFailed) as stopped:
                await database.ask(sql)
            assert str(stopped.value) == message, sql
        for sql in REFUSED:
            with pytest.raises(QueryFailed, match="not run: "):
                await database.ask(sql)
    finally:
        await database.close()


async def test_sqlite_recurs_within_its_limits(shop_path: Path) -> None:
    config = DatabaseConfig(url=f"sqlite:///{shop_path}", statement_timeout_s=0.5)
    database = await Database.open("shop", config)
    try:
        assert (await database.ask(COUNT.format(where=" WHERE i < 5000") + "SELECT count(*) FROM n")).rows == ((5000,),)
        assert (await database.ask(COUNT.format(where="") + "SELECT i FROM n LIMIT 2")).rows == ((1,), (2,))
        with pytest.raises(QueryFailed, match=r"took longer than 0\.5 s"):
            await database.ask(COUNT.format(where="") + "SELECT count(*) FROM n")
        doubled = "WITH RECURSIVE t(x) AS (SELECT 'x' UNION ALL SELECT x || x FROM t) SELECT max(length(x)) FROM t"
        with pytest.raises(QueryFailed, match=r"too big|too long|memory"):
            await database.ask(doubled)
        # Without the word, SQLite recurs as well.
        assert (
            await database.ask("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT max(i) FROM n")
        ).rows
    finally:
        await database.close()
