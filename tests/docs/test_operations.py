"""docs/operations.md says what the program does."""

import ast
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from aiostream_server import errors
from aiostream_server.config.load import load_config
from aiostream_server.config.model import LimitsConfig, OpenAIModelConfig, ServerConfig
from aiostream_server.config.reloading import FIXED_SERVER
from tests.kit.modules import modules
from tests.kit.process import serving_process, start
from tests.kit.scripted_provider import HttpError, ScriptedProvider
from tests.kit.serving import ask, chat_body, serving

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "operations.md").read_text("utf-8")
TELLERS = {"log_bug", "tell"}
LEVELS = {"debug", "info", "warning", "error", "critical"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading, without its head."""
    part = DOC.split(f"{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", part, re.MULTILINE)
    assert table, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]


def logged(tree: ast.AST) -> Iterator[str]:
    """The names of the events that a module logs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            by, name = node.func, node.args[0].value
            is_log = isinstance(by, ast.Attribute) and ast.unparse(by.value) == "_log" and by.attr in LEVELS
            if isinstance(name, str) and (is_log or (isinstance(by, ast.Name) and by.id in TELLERS)):
                yield name


def test_every_event_of_the_log_is_explained_and_none_that_there_is_not() -> None:
    found = {name for tree in modules().values() for name in logged(tree)}
    told = [row[0].strip("`") for row in rows("## Logs")]
    assert len(told) == len(set(told))
    assert set(told) == found


def test_the_timeouts_have_the_defaults_that_are_told() -> None:
    defaults: Mapping[str, Any] = {
        "[server]": ServerConfig(),
        "[limits]": LimitsConfig(),
        "[models.*]": OpenAIModelConfig(provider="openai", model="m", base_url="http://h/v1"),
    }
    told = [row for row in rows("## Timeouts") if row[0].startswith("`[")]
    assert len(told) >= 10
    for name, default, _ in told:
        table, key = name.strip("`").split()
        assert default == f"{getattr(defaults[table], key):g} s", name


def test_every_key_that_takes_a_restart_is_named() -> None:
    (named,) = re.findall(r"\*\*A restart is needed\*\*(.*?)\n\n", DOC, re.DOTALL)
    said_otherwise = {"host": "addresses", "port": "addresses", "tls_certificate": "TLS", "tls_key": "TLS"}
    said_otherwise |= {"log_format": "logging", "log_level": "logging"}
    assert [key for key in FIXED_SERVER if said_otherwise.get(key, key) not in named] == []


def test_statuses_and_codes_are_those_of_the_errors() -> None:
    known = {
        (str(leaf.status), leaf.code)
        for leaf in vars(errors).values()
        if isinstance(leaf, type) and issubclass(leaf, errors.ServerError)
    }
    for status, codes, *_ in rows("### The server refuses"):
        pairs = zip(status.split(", "), re.findall(r"`(\w+)`", codes), strict=True)
        assert {*pairs} <= known, status
    for codes, *_ in rows("### The answer is an error"):
        assert {*re.findall(r"`(\w+)`", codes)} <= {known_code for _, known_code in known}, codes


def test_every_link_leads_somewhere() -> None:
    written = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", DOC)) - written == set()


async def test_the_errors_that_users_see_are_those_of_the_tables(tmp_path: Path) -> None:
    """A key that is wrong, a model that is not there, a provider that refuses, a team that fails; and a run that is
    kept no longer."""
    async with ScriptedProvider() as provider:
        provider.script(
            HttpError(401, {"error": {"message": "Incorrect API key provided"}}),
            *[HttpError(429, {"error": {"message": "quota"}}, {"Retry-After": "0"})] * 3,
        )
        teams = "".join(
            f'[[teams]]\nid = "{name}"\nfactory = "tests.kit.sample_teams:{name}"\nmodel = "{model}"\n'
            for name, model in {"solo": "default", "pair": "away", "failing": "default"}.items()
        )
        config = (
            '[server]\nport = 0\n[limits]\nretention_s = 0.0\n[models.default]\nprovider = "openai"\nmodel = "m"\n'
            f'base_url = "{provider.base_url}"\n[models.away]\nprovider = "openai"\nmodel = "m"\nmax_retries = 0\n'
            f'base_url = "http://127.0.0.1:9/v1"\n{teams}'
        )
        path = tmp_path / "server.toml"
        path.write_text(config, "utf-8")
        async with serving(load_config(path, {}), tmp_path) as server:
            told = [(await ask(server.url, "hi", model=model)) for model in ("solo", "solo", "pair", "failing")]
            async with aiohttp.ClientSession() as session:
                expired = await status_and_code(session, "GET", f"{server.url}/v1/runs/{told[0].run_id}/events")
                body = chat_body("hi", model="nosuch")
                unknown = await status_and_code(session, "POST", f"{server.url}/v1/chat/completions", json=body)
                foreign = {"Host": "chat.example.com"}
                refused = await status_and_code(session, "GET", f"{server.url}/v1/models", headers=foreign)
    seen = [(error["code"], error["message"]) for answer in told for error in answer.errors]
    shown = [(row[0].strip("`"), row[1].strip('"').strip(". ")) for row in rows("### The answer is an error")]
    for (code, message), part in zip(
        seen,
        ["answered 401 Unauthorized", "answered 429 Too Many Requests", "cannot be reached", "the team failed"],
        strict=True,
    ):
        assert part in message
        assert any(code == shown_code and part in shown_message for shown_code, shown_message in shown)
    assert len(provider.exchanges) == 4, "a 429 is asked three times"
    refusals = {(row[0], row[1].strip("`")) for row in rows("### The server refuses")}
    assert {expired, unknown, refused} == {("410", "run_expired"), ("404", "model_not_found"), ("403", "forbidden")}
    assert {expired, unknown, refused} <= refusals


async def test_a_backup_that_was_made_while_the_server_ran_is_whole_once_it_is_put_back(tmp_path: Path) -> None:
    config = '[server]\nport = 0\n[conversations]\nurl = "sqlite+aiosqlite:///conversations.db"\n'
    database, backup = tmp_path / "conversations.db", tmp_path / "backup.db"
    async with serving_process(config, tmp_path) as server:
        for name in ("first", "second"):
            await ask(server.url, "What is 2 + 3?", model="general", headers={"X-Conversation-Id": name})
            if name == "first":
                with closing(sqlite3.connect(database)) as connection:
                    connection.execute("VACUUM INTO ?", (str(backup),))
        assert server.process.returncode is None
        server.process.terminate()
        assert await server.end() == 0
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    _put_back(backup, database)
    process = await start(
        *("conversations", "list", "--config", str(tmp_path / "server.toml")), state_directory=tmp_path
    )
    listed, _ = await process.communicate()
    assert b"first" in listed
    assert b"second" not in listed


def _put_back(backup: Path, database: Path) -> None:
    for leftover in database.parent.glob(f"{database.name}-*"):
        leftover.unlink()
    backup.replace(database)


async def status_and_code(session: aiohttp.ClientSession, method: str, url: str, **options: Any) -> tuple[str, str]:
    async with session.request(method, url, **options) as response:
        return str(response.status), (await response.json())["error"]["code"]
