"""A value reads as the database's own program shows it, whatever its type; the team never sees another number."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.cells import show_cell
from aiostream_server.tools.sql.database import Database
from tests.kit.needs import find_postgres

ZONE = "Europe/Berlin"
POSTGRES_VALUES = [
    "timestamptz '2024-03-01 00:00+00'",
    "date_trunc('month', timestamptz '2024-03-15 12:00+00')",
    "timestamptz '2024-07-01 23:30:00.25+00'",
    "timestamp '2024-03-01 00:00'",
    "timestamptz 'infinity'",
    "timestamp '-infinity'",
    "date '2024-02-29'",
    "date '0044-03-15 BC'",
    "time '03:04:05.6'",
    "timetz '03:04:05+02'",
    "interval '1 month 2 days 03:04:05'",
    "interval '-1 year'",
    "interval '90 minutes'",
    "12.50::numeric(10,2)",
    "1000000::numeric",
    "'NaN'::numeric",
    "0.1::real",
    "0.1::float8 + 0.2::float8",
    "1e20::float8",
    "1e-7::float8",
    "'NaN'::float8",
    "'-Infinity'::real",
    "9223372036854775807",
    "'5'::money",
    "'\\x00ff'::bytea",
    "'c0ffee00-0000-4000-8000-000000000000'::uuid",
    "'{\"a\": [1, 2]}'::jsonb",
    "'{1,NULL,3}'::int[]",
    "ARRAY['a b', 'c']",
    "'[2024-01-01,2024-02-01)'::daterange",
    "ROW(1, 'a b')",
    "inet '10.0.0.1/8'",
    "inet '10.0.0.1'",
    "cidr '10.0.0.0/8'",
    "B'101'",
    "'x'::char(3)",
    "'{}'::text[]",
    "to_char(12.5, '999.99')",
]
SQLITE_VALUES = [
    "0.1 + 0.2",
    "1.5",
    "12345678.9",
    "'text'",
    "9223372036854775807",
    "1e15 / 3",
    "date('2024-02-29')",
    "7",
]


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[Database]:
    database = await Database.open("it", DatabaseConfig.model_validate({"url": url, **settings}))
    try:
        yield database
    finally:
        await database.close()


def in_psql(url: str, statement: str) -> str:
    binaries = find_postgres()
    assert binaries is not None
    command = [str(binaries / "psql"), "-XAtq", "-c", f"SET timezone = '{ZONE}'", "-c", statement, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.rstrip("\n")


def plain(shown: str) -> str:
    """psql writes large and small numbers with an exponent, and truth values as one letter."""
    return {"1e+20": "100000000000000000000"}.get(shown, shown)


async def test_postgresqls_values_read_as_in_psql(postgres_url: str) -> None:
    async with opened(postgres_url, timezone=ZONE) as database:
        rows = await database._run(f"SELECT {', '.join(POSTGRES_VALUES)}")
    shown = await asyncio.to_thread(in_psql, postgres_url, f"SELECT {', '.join(POSTGRES_VALUES)}")
    ours = {value: show_cell(cell).rstrip() for value, cell in zip(POSTGRES_VALUES, rows.rows[0], strict=True)}
    theirs = {value: plain(text).rstrip() for value, text in zip(POSTGRES_VALUES, shown.split("|"), strict=True)}
    assert ours == theirs


async def test_sqlites_values_read_as_in_its_shell(shop_path: Path) -> None:
    """Its shell writes 15 digits."""
    async with opened(f"sqlite:///{shop_path}") as database:
        rows = await database._run(f"SELECT {', '.join(SQLITE_VALUES)}, x'00ff', NULL")
    assert [show_cell(cell) for cell in rows.rows[0]] == [
        *("0.3", "1.5", "12345678.9", "text", "9223372036854775807", "333333333333333", "2024-02-29", "7"),
        *("\\x00ff", "NULL"),
    ]


async def test_a_month_begins_in_the_sessions_time_zone(postgres_url: str) -> None:
    """In UTC, the 1st of March in Berlin reads as the evening of the 29th of February."""
    month = "SELECT date_trunc('month', TIMESTAMPTZ '2024-03-15 12:00+00') AS month"
    async with opened(postgres_url, timezone=ZONE) as database:
        assert (await database.ask(month)).rows == (("2024-03-01 00:00:00+01",),)
        assert f"the time zone is {ZONE}, today is 20" in (await database.schema()).describe().splitlines()[0]


async def test_money_keeps_its_zeros_and_averages_are_short(shop: Database) -> None:
    averages = await shop.ask("SELECT AVG(total), COUNT(*) / 7.0 FROM orders WHERE id <= 3")
    assert all(len(show_cell(cell).partition(".")[2]) <= 6 for cell in averages.rows[0])
    assert show_cell(averages.rows[0][1]) == "0.428571"
    (total,) = (await shop.ask("SELECT total FROM orders WHERE id = 1")).rows[0]
    assert len(show_cell(total).partition(".")[2]) == 2 or shop.dialect == "sqlite"


async def test_the_number_of_decimal_places_is_a_setting(shop_url: str) -> None:
    async with opened(shop_url, decimal_places=8) as database:
        rows = await database.ask("SELECT SUM(id) / 7.0 FROM orders WHERE id <= 40")
        assert show_cell(rows.rows[0][0]) == "117.14285714"
