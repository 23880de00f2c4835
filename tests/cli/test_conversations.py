"""`aiostream-server conversations`: what is remembered, listed and deleted beside a running server."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiostream_server.cli.commands import cli
from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Address, Conversations, TeamMemory, open_conversations

ALICE, BOB, LOCAL = Address("key1", "alice", "chat1"), Address("key1", "bob", "chat1"), Address("", "", "chat2")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli, ["conversations", *arguments], input=answer, catch_exceptions=False)


@pytest.fixture
def kept(state: Path) -> Iterator[Path]:
    """Three conversations, in a store that another process has open."""
    with asyncio.Runner() as runner:
        opened = open_conversations(ConversationsConfig(), state)
        store = runner.run(opened.__aenter__())
        runner.run(keep(store, ALICE, ALICE, BOB, LOCAL))
        yield state
        runner.run(opened.__aexit__(None, None, None))


async def keep(store: Conversations, *addresses: Address) -> None:
    for number, address in enumerate(addresses):
        await store.keep(address, TeamMemory("data", f"f{number}", (), b"{}" * 1000, b"[]"))


def listed(*arguments: str) -> list[list[str]]:
    """The rows, cell by cell."""
    result = run("list", *arguments)
    assert result.exit_code == 0
    return [re.split(" {2,}", line) for line in result.stdout.splitlines()[1:]]


def test_list_shows_every_conversation_the_one_used_last_first(kept: Path) -> None:
    result = run("list")
    head, *rows = result.stdout.splitlines()
    assert re.split(" {2,}", head) == ["KEY", "USER", "CONVERSATION", "TEAM", "STATES", "SIZE", "LAST USED"]
    cells = [re.split(" {2,}", row) for row in rows]
    assert [cell[:5] for cell in cells] == [
        ["-", "-", "chat2", "data", "1"],
        ["key1", "bob", "chat1", "data", "1"],
        ["key1", "alice", "chat1", "data", "2"],
    ]
    assert re.fullmatch(r"0\.\d kB", cells[0][5])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", cells[0][6])
    assert len({row.index(" UTC") for row in rows}) == 1
    assert "{}" not in result.output


def test_list_shows_those_of_a_key_and_a_user(kept: Path) -> None:
    assert [row[1] for row in listed("--key", "key1")] == ["bob", "alice"]
    assert [row[1] for row in listed("--key", "key1", "--user", "alice")] == ["alice"]
    assert [row[2] for row in listed("--user", "")] == ["chat2"]
    assert listed("--key", "nobody") == []


def test_names_cannot_steer_the_terminal_or_forge_a_line(state: Path) -> None:
    hostile = "\x1b]0;PWNED\x07\x9b31m\u202e\nkey9\tadmin\u2028\udc80\r"

    async def prepare() -> None:
        async with open_conversations(ConversationsConfig(), state) as store:
            await keep(store, Address(hostile, hostile, hostile))

    asyncio.run(prepare())
    result = run("list")
    assert len(result.stdout.splitlines()) == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", result.stdout)


def test_delete_asks_first_and_says_how_many(kept: Path) -> None:
    result = run("delete", "--key", "key1", answer="n\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Delete 2 conversations? [y/N]" in result.stderr
    assert len(listed()) == 3
    result = run("delete", "--key", "key1", answer="y\n")
    assert result.exit_code == 0
    assert "2 conversations deleted." in result.stderr
    assert [row[2] for row in listed()] == ["chat2"]


def test_delete_without_asking(kept: Path) -> None:
    result = run("delete", "--key", "key1", "--user", "bob", "--conversation", "chat1", "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 conversation deleted.\n")
    assert len(listed()) == 2


def test_nothing_to_delete_is_said(kept: Path) -> None:
    for conversation in ("chat", "chat3"):
        result = run("delete", "--conversation", conversation)
        assert (result.exit_code, result.stderr) == (0, "There is no such conversation.\n")
    assert run("delete", "--key", "nobody", "--yes").stderr == "0 conversations deleted.\n"


def test_expire_deletes_what_has_expired(kept: Path, tmp_path: Path) -> None:
    assert run("expire").stderr == "0 conversations deleted.\n"
    config = tmp_path / "server.toml"
    config.write_text("[conversations]\nexpiry_s = 0.000001\n")
    assert run("expire", "--config", str(config)).stderr == "3 conversations deleted.\n"
    assert listed() == []


def test_config_names_the_database(state: Path, tmp_path: Path) -> None:
    """Nothing else in it matters: the secrets of the service may not be at hand."""
    path, config = tmp_path / "named.db", tmp_path / "server.toml"
    config.write_text(
        '[conversations]\nurl = "sqlite:///named.db"\n[models.default]\nprovider = "openai"\napi_key_env = "NOT_SET"'
    )

    async def prepare() -> None:
        async with open_conversations(ConversationsConfig(url=f"sqlite:///{path}"), state) as store:
            await keep(store, ALICE)

    asyncio.run(prepare())
    assert [row[1] for row in listed("--config", str(config))] == ["alice"]


def test_a_database_that_fails_is_a_line_on_stderr(kept: Path) -> None:
    with closing(sqlite3.connect(kept / "conversations.db")) as connection:
        connection.execute("DROP TABLE aiostream_memories")
    result = run("list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: no such table: aiostream_memories\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["list"], 1, "there is no {}/state/conversations.db"),
        (["expire"], 1, "there is no {}/state/conversations.db"),
        (["delete"], 2, "which conversations? give --key, --user or --conversation"),
        (["delete", "--yes"], 2, "which conversations?"),
        (["list", "--config", "{}/none.toml"], 1, "none.toml: cannot be read: no such file or directory"),
    ],
)
def test_mistake_is_a_line_on_stderr(
    state: Path, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    result = run(*(argument.format(tmp_path) for argument in arguments))
    assert (result.exit_code, result.stdout) == (status, "")
    assert words.format(tmp_path) in result.stderr
    assert "Traceback" not in result.stderr
    assert not state.exists()
