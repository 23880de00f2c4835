"""`aiostream-server teams add`: a file becomes a served team, or nothing has changed."""

import asyncio
import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from aiostream_server.cli.commands import cli
from aiostream_server.config.load import load_config
from tests.components.making import (
    SAY_PWNED,
    Json,
    assistant,
    component,
    function_tool,
    openai,
    replay,
    round_robin,
    workbench,
    written,
)
from tests.kit.serving import ask, serving

CONFIG: Final = """# My server, which I keep tidy.
[server]
port = 9000 # mine

[[teams]]
id = "first"
factory = "aiostream_server.teams.general:build" # the usual one
"""


def add(file: Path, config: Path | None, *options: str) -> Result:
    where = [] if config is None else ["--config", str(config)]
    return CliRunner().invoke(cli, ["teams", "add", str(file), *where, *options], catch_exceptions=False)


def config_in(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return path


def team_in(folder: Path, *words: str, label: str | None = None) -> Path:
    team = round_robin(assistant("Parrot", replay(*(words or ("Hello.",)))))
    folder.mkdir(exist_ok=True)
    return written(folder / "my team.json", team if label is None else {**team, "label": label})


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


async def test_an_added_team_is_described_written_and_served(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    file = team_in(tmp_path / "from", "Hello to you.")
    options = ("--name", "Friendly Parrot", "--description", "Chats.")
    result = await asyncio.to_thread(add, file, config, *options)
    assert result.exit_code == 0, result.output
    told = result.stdout.splitlines()
    assert told[0] == "RoundRobinGroupChat, in my team.json:"
    assert "  agent   Parrot: AssistantAgent, model unnamed" in told
    assert (
        told[-3] == f"Added to {config} as friendly-parrot; the team itself is {tmp_path}/teams/friendly-parrot.json."
    )
    assert "systemctl reload" in told[-2]
    text = config.read_text("utf-8")
    assert text.startswith(CONFIG)
    assert tomllib.loads(text[len(CONFIG) :]) == {
        "teams": [
            {
                "id": "friendly-parrot",
                "name": "Friendly Parrot",
                "description": "Chats.",
                "component": "teams/friendly-parrot.json",
            }
        ]
    }
    async with serving(load_config(config, {}), tmp_path) as server:
        answer = await ask(server.url, "hi", model="friendly-parrot")
        assert answer.text.endswith("Hello to you.")


@pytest.mark.parametrize(
    ("label", "team_id"),
    [
        ("Vertriebs-Übersicht (2)", "vertriebs-ubersicht-2"),
        ("first", "first-2"),
        ("Auto", "auto-2"),
        ("日本語", "team"),
        ("RoundRobinGroupChat", "my-team"),
        ('a "quoted"\n\x1b[31m \u2028 \x7f name', "a-quoted-31m-name"),
        ("x" * 500, "x" * 48),
    ],
)
def test_an_id_is_made_of_the_name(tmp_path: Path, label: str, team_id: str) -> None:
    config = config_in(tmp_path)
    result = add(team_in(tmp_path / "from", label=label), config)
    assert result.exit_code == 0, result.output
    assert load_config(config, {}).teams[-1].id == team_id
    assert "\x1b" not in result.stdout
    assert "\x7f" not in config.read_text("utf-8")


def test_adding_a_file_twice_adds_two_teams(tmp_path: Path) -> None:
    """The output names the other team."""
    config, file = config_in(tmp_path), team_in(tmp_path / "from")
    for number in range(3):
        result = add(file, config)
        assert result.exit_code == 0
        assert ("The team my-team stays as it was: `--replace`" in result.stdout) is (number > 0)
    assert [team.id for team in load_config(config, {}).teams] == ["first", "my-team", "my-team-2", "my-team-3"]
    assert len(list((tmp_path / "teams").iterdir())) == 3


async def test_replace_puts_the_file_into_the_place_of_a_team(tmp_path: Path) -> None:
    """Its table stays, manual changes included; the file keeps its place."""
    config, folder = config_in(tmp_path), tmp_path / "from"
    assert (await asyncio.to_thread(add, team_in(folder, "Old."), config)).exit_code == 0
    text = config.read_text("utf-8") + 'examples = ["Mine?"]\n'
    config.write_text(text, "utf-8")
    result = await asyncio.to_thread(add, team_in(folder, "New."), config, "--replace")
    assert result.exit_code == 0, result.stderr
    assert f"my-team is this team now: {tmp_path}/teams/my-team.json was replaced" in result.stdout
    assert config.read_text("utf-8") == text
    assert [path.name for path in (tmp_path / "teams").iterdir()] == ["my-team.json"]
    async with serving(load_config(config, {}), tmp_path) as server:
        assert (await ask(server.url, "hi", model="my-team")).text.endswith("New.")


def test_refusals_to_replace(tmp_path: Path) -> None:
    config, file = config_in(tmp_path), team_in(tmp_path / "from")
    assert add(file, config).exit_code == 0
    stored = tmp_path / "teams" / "my-team.json"
    tool = function_tool("def f(x: int) -> int:\n    return x\n")
    code = written(tmp_path / "c.json", round_robin(assistant("A", replay("x"), workbench=[workbench(tool)])))
    before = everything_in(tmp_path)
    for source, options, words in (
        (file, ["--id", "none"], '[[teams]] has none with the id "none"'),
        (file, ["--id", "first"], "made by a factory"),
        (stored, ["--id", "my-team"], "is what that team is made of already"),
        (code, ["--id", "my-team"], "runs the Python code in its source_code"),
        (file, ["--name", "X"], "--replace leaves the [[teams]] table as it is"),
        (file, ["--trust"], "--replace leaves the [[teams]] table as it is"),
    ):
        result = add(source, config, "--replace", *options)
        assert result.exit_code > 0
        assert words in result.stderr
        assert everything_in(tmp_path) == before


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[server]\nport = 1", "\ufeff[server]\r\nport = 1\r\n"])
def test_the_built_in_teams_stay(tmp_path: Path, text: str) -> None:
    """They are served where nothing else is: now they have to be named."""
    config = tmp_path / "server.toml"
    config.write_bytes(text.encode())
    result = add(team_in(tmp_path / "from"), config)
    assert "The built-in teams general and data were served because the file had no teams" in result.stdout
    loaded = load_config(config, {})
    assert [team.id for team in loaded.teams] == ["general", "data", "my-team"]
    assert loaded.teams[1].roles == {"SQLAgent": "thinking", "ValidationAgent": "validation"}
    after = config.read_bytes()
    assert after.startswith(text.encode())
    assert (b"\r\n" in after) == ("\r\n" in text)
    assert after.count(b"\n") == after.count(b"\r\n") or "\r\n" not in text


def test_built_in_teams_that_could_not_be_served_are_not_added(tmp_path: Path) -> None:
    """Without a [models.default] the configuration has nothing to serve yet."""
    model = '[models.mine]\nprovider = "openai"\nmodel = "gpt-4o-mini"\n'
    config = config_in(tmp_path, model)
    assert add(written(tmp_path / "t.json", round_robin(assistant())), config).exit_code == 0
    assert [team.id for team in load_config(config, {}).teams] == ["t"]


def test_with_a_team_folder_no_built_in_team_is_added(tmp_path: Path) -> None:
    """And its ids are taken, too."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sales.py").write_text(
        "from aiostream_server.teams import general\n\n\ndef build(context):\n    return general.build(context)\n"
    )
    config = config_in(tmp_path, '[[team_folders]]\npath = "mine"\n')
    assert "built-in" not in add(team_in(tmp_path / "from"), config, "--name", "Sales").stdout
    assert [team.id for team in load_config(config, {}).teams] == ["sales-2"]


def test_trust_is_written_down(tmp_path: Path) -> None:
    tool = function_tool("def f(x: int) -> int:\n    return x\n")
    file = written(tmp_path / "t.json", round_robin(assistant("A", replay("x"), workbench=[workbench(tool)])))
    config = config_in(tmp_path)
    refused = add(file, config)
    assert refused.exit_code == 1
    assert "`teams add --trust`" in refused.stderr
    assert add(file, config, "--trust").exit_code == 0
    assert load_config(config, {}).teams[-1].trusted


def test_all_agents_can_use_one_model(tmp_path: Path) -> None:
    file, config = written(tmp_path / "t.json", round_robin(assistant())), config_in(tmp_path)
    refused = add(file, config)
    assert refused.exit_code == 1
    problem, empty, *table = refused.stderr.splitlines()
    assert 'the model "gpt-4o-mini" has no key' in problem
    assert empty == ""
    assert tomllib.loads("\n".join(table))["models"]["gpt-4o-mini"]["api_key_env"] == "OPENAI_API_KEY"
    assert add(file, config, "--model", "default").exit_code == 0
    assert load_config(config, {}).teams[-1].model == "default"


def test_a_file_with_a_key_is_readable_by_its_owner_and_group_only(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    config.chmod(0o644)
    result = add(written(tmp_path / "t.json", round_robin(assistant("A", openai(api_key="sk-canary")))), config)
    assert "may hold an API key" in result.stdout
    assert "sk-canary" not in result.output
    assert stat.S_IMODE((tmp_path / "teams" / "t.json").stat().st_mode) == 0o640
    add(team_in(tmp_path / "from"), config)
    assert stat.S_IMODE((tmp_path / "teams" / "my-team.json").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "teams").stat().st_mode) == 0o755


MCP: Final = "autogen_ext.tools.mcp.McpWorkbench"
SECRETS: Final[dict[str, Json]] = {
    "headers": {"server_params": {"type": "SseServerParams", "url": "http://mcp", "headers": {"X-Auth": "canary"}}},
    "env": {"server_params": {"type": "StdioServerParams", "command": "true", "env": {"TOKEN": "canary"}}},
    "an argument": {"server_params": {"type": "StdioServerParams", "command": "x", "args": ["sk-canary-0123456789ab"]}},
    "an address": {"server_params": {"type": "SseServerParams", "url": "http://me:canary@mcp/"}},
    "a query": {"server_params": {"type": "SseServerParams", "url": "http://mcp/?api_key=canary"}},
    "a password": {"server_params": {"type": "SseServerParams", "url": "http://mcp/"}, "db_password": "canary"},
    "nothing": {
        "server_params": {"type": "SseServerParams", "url": "http://mcp/", "headers": {"Authorization": "***"}}
    },
}


@pytest.mark.parametrize("kind", SECRETS)
def test_files_that_may_hold_a_secret_are_not_readable_by_others(tmp_path: Path, kind: str) -> None:
    team = round_robin(assistant("A", replay("x"), workbench=[component(MCP, "workbench", **SECRETS[kind])]))
    config = config_in(tmp_path)
    config.chmod(0o644)
    result = add(written(tmp_path / "t.json", team), config, "--trust")
    assert result.exit_code == 0, result.stderr
    has_some = kind != "nothing"
    assert ("only its owner and group can read it" in result.stdout) is has_some
    assert "canary" not in config.read_text("utf-8")
    stored = tmp_path / "teams" / "t.json"
    assert stat.S_IMODE(stored.stat().st_mode) == (0o640 if has_some else 0o644)
    stored.chmod(0o644)
    again = written(tmp_path / "t.json", {**team, "description": "Anew."})
    assert add(again, config, "--replace").exit_code == 0
    assert stat.S_IMODE(stored.stat().st_mode) == (0o640 if has_some else 0o644)


def test_no_other_user_can_read_the_file_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the umask is."""
    modes: list[int] = []
    opened = os.open

    def watching(path: Any, flags: int, mode: int = 0o777, **settings: Any) -> int:
        descriptor = opened(path, flags, mode, **settings)
        if str(path).endswith(".json") and flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", watching)
    before = os.umask(0)
    try:
        assert add(team_in(tmp_path / "from"), config_in(tmp_path)).exit_code == 0
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_a_configuration_behind_a_link_keeps_its_place_and_mode(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    config = config_in(tmp_path / "real")
    config.chmod(0o640)
    link = tmp_path / "server.toml"
    link.symlink_to(config)
    assert add(team_in(tmp_path / "from"), link).exit_code == 0
    assert link.is_symlink()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert load_config(link, {}).teams[-1].id == "my-team"


GOOD: Final = round_robin(assistant("A", replay("x")))
REFUSALS: Final[dict[str, tuple[Any, str, list[str], str]]] = {
    "an id that is taken": (GOOD, CONFIG, ["--id", "first"], 'a team with the id "first" already'),
    "an id of the server's": (GOOD, CONFIG, ["--id", "auto"], "the server's own model id"),
    "no id": (GOOD, CONFIG, ["--id", "Not An Id"], "expected a name of at most 64"),
    "not allowed": (component("os.system", "agent"), CONFIG, ["--trust"], "os.system is not allowed"),
    "a module beside the configuration": (component("evil.Agent", "agent"), CONFIG, ["--trust"], "evil.Agent is not"),
    "no team": ([1, 2], CONFIG, [], "is no component"),
    "no such name": (GOOD, CONFIG, ["--choose", "x"], 'nothing in it is called "x"'),
    "no such model": (GOOD, CONFIG, ["--model", "x"], "there is no model 'x'"),
    "broken": (round_robin(), CONFIG, [], "At least one participant"),
    "a list that cannot grow": (GOOD, 'teams = [{ id = "a", factory = "x:y" }]', [], "with the team: "),
    "a broken configuration": (GOOD, "[server]\nprot = 1", [], "prot"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refused_file_changes_nothing(tmp_path: Path, case: str) -> None:
    document, text, options, words = REFUSALS[case]
    config, file = config_in(tmp_path, text), written(tmp_path / "t.json", document)
    (tmp_path / "evil.py").write_text(SAY_PWNED.format(path=str(tmp_path / "pwned")))
    before = everything_in(tmp_path)
    result = add(file, config, *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert everything_in(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    tmp_path.chmod(0o500)
    try:
        assert "cannot be written" in add(team_in(tmp_path), config).stderr
    finally:
        tmp_path.chmod(0o700)


def test_without_a_configuration_it_says_what_to_do(tmp_path: Path) -> None:
    result = add(team_in(tmp_path / "from"), None)
    assert result.exit_code == 2
    assert "give --config server.toml" in result.stderr
    missing = add(team_in(tmp_path / "from"), tmp_path / "none.toml")
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (1, True)


def test_only_the_component_is_stored(tmp_path: Path) -> None:
    """Not the row of Studio's database around it, and not the rest of a gallery."""
    row = {"id": 4, "user_id": "me@example.com", "component": {**GOOD, "label": "Mine \U0001f600"}}
    config = config_in(tmp_path)
    assert add(written(tmp_path / "t.json", row), config).exit_code == 0
    stored: Json = json.loads((tmp_path / "teams" / "mine.json").read_text("utf-8"))
    assert stored == row["component"]
