"""A value reads as the database's own program shows it, whatever its type; the team never sees another number."""

import asyncio
import csv
import io
import subprocess
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from urllib.parse import quote

import pytest

from aiostream_server.tools.sql.cells import show_cell
from aiostream_server.tools.sql.database import Database
from tests.kit.needs import find_postgres, find_program, needs
from tests.tools.opening import opened
from tests.tools.postgres_values import INTERVAL_STYLES, INTERVALS, POSTGRES_VALUES, TYPES
from tests.tools.test_csv_file import Written

ZONE = "Europe/Berlin"
SQLITE_VALUES = {
    "whole numbers": r"""
        7
        -9223372036854775808
        9223372036854775807
        9223372036854775807 + 1
        CAST('12abc' AS INTEGER)
        7 / 2""",
    "reals": r"""
        0.1 + 0.2
        1.5
        12345678.9
        1e15 / 3
        1e308
        1.7e308
        1e999
        -1e999
        -0.0
        1e-300
        1e-7
        1e15
        100.0
        9223372036854775807 * 1.0
        1.0 / 3
        0.0 / 0.0
        round(2.5, 1)
        123456789.123456789""",
    "text": r"""
        'text'
        ''
        'NULL'
        'two words'
        'Grüße 日本'
        upper('ä')
        'a' || NULL
        12 || ''
        printf('%.2f', 2)""",
    "truth": r"""
        1 = 1
        1 = 2
        NULL = 1
        true""",
    "dates": r"""
        date('2024-02-29')
        julianday('2024-02-29')
        unixepoch('2024-02-29')
        datetime(1709164800, 'unixepoch')
        strftime('%Y-%m', '2024-02-29')
        date('2024-02-30')
        date('nonsense')
        time('12:30')
        datetime('2024-03-01T00:00+01:00')""",
    "json": r"""
        json('{"a":  1}')
        json_extract('{"a": [1, 2]}', '$.a')
        '{"a": 1.50}' ->> 'a'
        json_array(1, NULL, 'x')""",
    "columns": r"""
        any FROM t WHERE n = 1
        any FROM t WHERE n = 2
        any FROM t WHERE n = 3
        any FROM t WHERE n = 5
        money FROM t WHERE n = 1
        money FROM t WHERE n = 2
        day FROM t WHERE n = 1
        typeof(money) FROM t WHERE n = 1
        avg(money) FROM t
        sum(money) FROM t
        total(n) FROM t
        group_concat(n) FROM t""",
}
SQLITE_TABLE = """
    CREATE TABLE t (n INTEGER PRIMARY KEY, any, money DECIMAL(10, 2), day DATE);
    INSERT INTO t VALUES (1, 7, 12.50, '2024-02-29'), (2, 7.5, 3, 1709164800), (3, 'x', '4.25', NULL),
        (4, x'00ff', NULL, 2460369.5), (5, NULL, 0.1, ''), (6, CAST(x'4dfc6c' AS TEXT), 1e3, 'Infinity');
"""


def split(values: str) -> list[str]:
    return [line.strip() for line in values.splitlines() if line.strip()]


def psql(url: str, *statements: str, form: str = "-XAtq") -> str:
    binaries = find_postgres()
    assert binaries is not None
    commands = [part for statement in (f"SET timezone = '{ZONE}'", *statements) for part in ("-c", statement)]
    command = [str(binaries / "psql"), form, "-F", "\x1f", "-P", "null=NULL", *commands, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.removesuffix("\n")


def statement(values: Sequence[str]) -> str:
    """Each value as a column of one row: a subquery, because some bring a FROM of their own."""
    return "SELECT " + ", ".join(f"(SELECT {value})" for value in values)


def normal(shown: str) -> str | Decimal:
    """A number as such: psql writes large and small ones with an exponent. It writes truth values as one letter."""
    if shown in ("t", "f"):
        return {"t": "true", "f": "false"}[shown]
    try:
        number = Decimal(shown)
    except InvalidOperation:
        return shown
    return number if number.is_finite() and "e" in shown else shown


def same(ours: str, theirs: str) -> bool:
    wanted = normal(theirs)
    return Decimal(ours) == wanted if isinstance(wanted, Decimal) else ours == wanted


def differences(values: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[str, str, str]]:
    return [each for each in zip(values, ours, theirs, strict=True) if not same(each[1], each[2])]


@pytest.fixture(scope="module")
def typed_url(postgres_url: str) -> str:
    """A database with types of its own."""
    psql(postgres_url, "CREATE DATABASE typed")
    url = f"{postgres_url.rpartition('/')[0]}/typed"
    psql(url, TYPES)
    return url


async def test_postgresqls_values_read_as_in_psql_and_in_its_csv(typed_url: str) -> None:
    async with opened(typed_url, timezone=ZONE) as database:
        for kind, listed in POSTGRES_VALUES.items():
            values, file = split(listed), Written()
            rows = await database._run(statement(values), None, file)
            sql = f"COPY ({statement(values)}) TO STDOUT (FORMAT csv)"
            shown = await asyncio.to_thread(psql, typed_url, statement(values), "SELECT 'copied:'", sql)
            shown, _, copied = shown.partition("\ncopied:\n")
            assert differences(values, [show_cell(cell) for cell in rows.rows[0]], shown.split("\x1f")) == [], kind
            (theirs,) = csv.reader(io.StringIO(copied, newline=""))
            ours = [cell.replace("'=x", "=x") for cell in file.rows()[1]]  # no formula
            assert differences(values, ours, theirs) == [], kind


@pytest.mark.parametrize("style", INTERVAL_STYLES)
async def test_intervals_read_as_in_psql_in_every_style(postgres_url: str, style: str) -> None:
    values = split(INTERVALS)
    async with opened(f"{postgres_url}?options={quote(f'-c intervalstyle={style}')}", timezone=ZONE) as database:
        rows = await database._run(statement(values))
    shown = await asyncio.to_thread(psql, postgres_url, f"SET intervalstyle = '{style}'", statement(values))
    assert differences(values, [show_cell(cell) for cell in rows.rows[0]], shown.split("\x1f")) == []


@needs("sqlite3")
async def test_sqlites_values_read_as_in_its_shell(tmp_path: Path) -> None:
    path, shell = tmp_path / "it.db", find_program("sqlite3")
    assert shell is not None

    def in_shell(sql: str) -> str:
        command = [shell, "-nullvalue", "NULL", "-separator", "\x1f", str(path), sql]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.rstrip("\n")

    await asyncio.to_thread(in_shell, SQLITE_TABLE)
    async with opened(f"sqlite:///{path}") as database:
        for kind, listed in SQLITE_VALUES.items():
            values = split(listed)
            rows = await database._run(statement(values))
            shown = (await asyncio.to_thread(in_shell, statement(values))).split("\x1f")
            shown = [text.removesuffix(".0") for text in shown]  # it marks reals
            assert differences(values, [show_cell(cell) for cell in rows.rows[0]], shown) == [], kind
        (row,) = (await database._run("SELECT x'00ff', any, (SELECT any FROM t WHERE n = 4) FROM t WHERE n = 6")).rows
        assert row == ("\\x00ff", "M\ufffdl", "\\x00ff")


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


async def test_only_quotients_and_averages_are_rounded(postgres_url: str) -> None:
    """Whatever else stands in the statement: coordinates, sums and what the statement rounds keep their digits."""
    sql = (
        "WITH a AS (SELECT 1 AS k, 52.123456789 AS lat, AVG(total) AS mean FROM orders) "
        "SELECT a.lat, a.mean, a.mean * 1.0 AS same, SUM(0.123456789) AS sum, ROUND(1 / 3.0, 8) AS own, "
        "CAST(2 / 3.0 AS numeric(10, 9)) AS cast, 1 / 3.0 AS third FROM a GROUP BY a.lat, a.mean"
    )
    async with opened(postgres_url) as database:
        lat, mean, same_mean, *others = [show_cell(cell) for cell in (await database.ask(sql)).rows[0]]
        starred = await database.ask(
            sql.replace("SELECT a.lat", "SELECT a.*, a.lat").replace("GROUP BY", "GROUP BY a.k, ")
        )
    assert lat == "52.123456789"
    assert len(mean.partition(".")[2]) == len(same_mean.partition(".")[2]) == 6
    assert others == ["0.123456789", "0.33333333", "0.666666667", "0.333333"]
    assert [show_cell(cell) for cell in starred.rows[0][:4]] == ["1", lat, mean, lat]
