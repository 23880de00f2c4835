"""docs/databases.md leads from a URL to the first answer: its files and commands are run as they stand there."""

import csv
import io
import re
import shlex
import tomllib
from pathlib import Path
from typing import Final

import aiohttp

from aiostream_server.config.load import load_config
from tests.kit.process import serving_process, start
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.tools.test_values import psql

ROOT: Final = Path(__file__).parents[2]
FIRST_ANSWER: Final = (ROOT / "docs" / "databases.md").read_text("utf-8").partition("## The URL")[0]
TABLES: Final = """
    CREATE SCHEMA sales;
    CREATE SCHEMA crm;
    CREATE TABLE crm.customers (id int PRIMARY KEY, name text NOT NULL);
    CREATE TABLE sales.orders (id int PRIMARY KEY, customer_id int REFERENCES crm.customers, total numeric(10, 2),
        placed_at timestamptz);
    CREATE TABLE sales.tmp_import (x int);
    INSERT INTO crm.customers SELECT n, 'Kundin ' || n FROM generate_series(1, 250) AS n;
    INSERT INTO sales.orders SELECT n, 1 + n % 250, n / 4.0, timestamptz '2024-02-29 23:30+00' + n * interval '1 second'
        FROM generate_series(1, 1000) AS n;
"""
MARCH: Final = (
    "SELECT c.name, SUM(o.total) AS spent, MIN(o.placed_at) AS first FROM sales.orders AS o JOIN crm.customers AS c "
    "ON c.id = o.customer_id WHERE date_trunc('month', o.placed_at) = '2024-03-01' GROUP BY c.name, c.id ORDER BY c.id"
)


def block(language: str, number: int = 0) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", FIRST_ANSWER, re.DOTALL)
    return found[number]


def example(table: str) -> str:
    """A table of configs/server.toml with all its keys."""
    text = (ROOT / "configs" / "server.toml").read_text("utf-8")
    lines = text[text.index(f"#[{table}]") :].partition("\n\n")[0].splitlines()
    return "\n".join(line.removeprefix("#") for line in lines if line.startswith("#"))


async def test_the_first_answer_is_reached_by_the_page_alone(tmp_path: Path, postgres_url: str) -> None:
    psql(postgres_url, "CREATE DATABASE walked")
    server = postgres_url.partition("@")[2].rpartition("/")[0]
    psql(f"{postgres_url.rpartition('/')[0]}/walked", TABLES, block("sql"))
    commands = [shlex.split(line) for line in block("bash").splitlines() + block("bash", 1).splitlines()]
    assert [command[:2] for command in commands[1:]] == [
        ["aiostream-server", what] for what in ("check", "serve", "ask")
    ]
    name, _, url = commands[0][1].partition("=")
    secrets = {name: url.replace("db.example/shop", f"{server}/walked"), "OPENAI_API_KEY": "sk-test"}
    async with ScriptedProvider() as provider:
        toml = block("toml").replace('"OPENAI_API_KEY"\n', f'"OPENAI_API_KEY"\nbase_url = "{provider.base_url}"\n')
        (tmp_path / "server.toml").write_text(toml, "utf-8")
        checking = await start(
            "check", "--config", str(tmp_path / "server.toml"), state_directory=tmp_path, extra=secrets
        )
        out, errors = await checking.communicate()
        assert checking.returncode == 0, (out, errors)
        (promised,) = re.findall(r"`(\[database\.sales\] schema [^`]*)`", FIRST_ANSWER)
        assert promised in out.decode()
        provider.script(
            ScriptedAnswer(Call("schema", {}, "c1")),
            ScriptedAnswer(Call("query", {"sql": MARCH}, "c2")),
            ScriptedAnswer("A lot."),
        )
        async with serving_process(f"[server]\nport = 0\n\n{toml}", tmp_path, **secrets) as served:
            asking = await start(*commands[-1][1:], "--url", served.url, state_directory=tmp_path)
            answer = (await asking.communicate())[0].decode()
            link = re.search(r"sales\.csv\]?\s*\(?(http://[^)\s]*)", answer)
            assert link is not None, answer
            async with aiohttp.ClientSession() as session, session.get(link[1]) as response:
                header, *rows = csv.reader(io.StringIO((await response.read()).decode("utf-8-sig"), newline=""))
    told = str(provider.exchanges[1].body["messages"])
    assert "the time zone is Europe/Berlin" in told
    assert "One row for each order, cancelled ones included" in told
    assert "tmp_import" not in told
    assert (header, len(rows), rows[0]) == (
        ["name", "spent", "first"],
        250,
        ["Kundin 1", "625.00", "2024-03-01 00:34:10+01"],
    )
    assert "200 rows (50 more left out), the first 50 shown" in answer


def test_every_key_of_the_example_can_be_given(tmp_path: Path) -> None:
    """As a file has them: lists, and not Python's tuples."""
    text = re.sub(
        r"^(url_env|url_file|password_env|password_file) ", "#", example("database.sales"), flags=re.MULTILINE
    )
    keys = tomllib.loads(text)["database"]["sales"]
    assert {"schemas", "tables", "notes", "result_bytes", "timezone", "row_limit"} <= keys.keys()
    (tmp_path / "server.toml").write_text(text, "utf-8")
    database = load_config(tmp_path / "server.toml", {}).database["sales"]
    assert database.schemas == ("sales", "crm")
