"""`aiostream-server check`: a line for each thing it loaded and status 0, or every mistake and status 1."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aiostream_server import __version__
from aiostream_server.__main__ import main
from aiostream_server.cli.check import report
from aiostream_server.cli.commands import cli
from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.config.writing import written
from tests.kit.process import start

CONFIGS = Path(__file__).parents[2] / "configs"


async def nothing_wrong(config: Config) -> list[str]:
    return []


async def nothing_opens(config: Config) -> list[str]:
    raise ConfigError(["[database.sales] url: no such file"])


async def one_thing_wrong(config: Config) -> list[str]:
    return [f"[[teams]] #1: cannot be built for {config.server.host}"]


def test_everything_loaded_is_a_line(tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", new_key("alice")[0])
    text = """
        server.host = "0.0.0.0"
        auth.keys_file = "keys.json"
        models.default = { provider = "openai", model = "m", base_url = "http://user:canary@h/v1" }
        database.sales.url = "postgresql://u:canary@h/d"
        teams = [{ id = "sales", factory = "x:y" }, { id = "files", component = "/t.json" }]
    """
    path = written(tmp_path, text)
    assert report(path, {}, nothing_wrong) == [
        f"config    {path}",
        "server    0.0.0.0, port 8000",
        f"keys      1 in {tmp_path / 'keys.json'}",
        "model     default: openai m",
        "routing   rules",
        "database  sales: at most 200 rows, 10 s a statement",
        "team      sales: x:y",
        "team      files: /t.json",
        "ok",
    ]


def test_defaults_are_loaded_without_a_file() -> None:
    assert report(None, {}, nothing_wrong) == [
        "config    none: the defaults",
        "server    127.0.0.1, port 8000",
        "keys      none: for this machine only",
        "model     default: demo",
        "routing   rules",
        "database  none: the demo shop",
        "team      none: the two built-in teams",
        "note      there is no [models.*] table: the demo model answers, which is no language model",
        "ok",
    ]


def test_address_keys_and_teams_are_checked_beside_other_mistakes(tmp_path: Path) -> None:
    path = written(tmp_path, 'server.host = "0.0.0.0"')
    with pytest.raises(ConfigError) as caught:
        report(path, {}, one_thing_wrong)
    bind, team = caught.value.problems
    assert bind.startswith("[server] host: without API keys only a loopback address")
    assert team == "[[teams]] #1: cannot be built for 0.0.0.0"

    path = written(tmp_path, 'server.host = "0.0.0.0"\nauth.keys_file = "none.json"')
    with pytest.raises(ConfigError) as caught:
        report(path, {}, one_thing_wrong)
    assert caught.value.problems[0].startswith(f"{tmp_path / 'none.json'}: there is no such keys file")
    assert caught.value.problems[1:] == (team,)


def test_an_error_that_stops_the_check_is_a_mistake_like_others(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        report(written(tmp_path, 'auth.keys_file = "none.json"'), {}, nothing_opens)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[1] == "[database.sales] url: no such file"


@pytest.mark.parametrize("example", ["server.toml", "demo.toml"])
def test_examples_are_right(example: str) -> None:
    assert report(CONFIGS / example, {}, nothing_wrong)[-1] == "ok"


async def test_broken_file_ends_with_status_1_and_its_mistakes(tmp_path: Path) -> None:
    """From a real process: lines on stderr, nothing on stdout, no traceback."""
    path = written(tmp_path, '[server]\nport = 70000\nhosst = "x"')
    process = await start("check", "--config", str(path), state_directory=tmp_path)
    out, errors = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert errors.decode().splitlines() == [
        "[server] port: expected a whole number from 0 to 65535, got 70000",
        "[server] hosst: unknown key; did you mean host?",
    ]


def test_check_of_the_demo_passes(tmp_path: Path) -> None:
    """The whole command: teams are built, and the demo shop is opened."""
    arguments = ["check", "--config", str(CONFIGS / "demo.toml")]
    environ = {"STATE_DIRECTORY": str(tmp_path)}
    result = CliRunner().invoke(cli, arguments, env=environ, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "ok"


def test_help_names_every_command_without_loading_any() -> None:
    """Agents' libraries take seconds to load."""
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from aiostream_server.cli.commands import cli\n"
        "print(CliRunner().invoke(cli, ['--help']).output)\n"
        "print([name for name in sys.modules if name.startswith(('autogen', 'aiohttp', 'pydantic'))])\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    for command in ("serve", "ask", "check", "keys", "version"):
        assert f"\n  {command} " in output
    assert output.endswith("[]\n")


@pytest.mark.parametrize("name", ["serve", "ask", "check", "keys", "version"])
def test_every_command_explains_itself(name: str) -> None:
    assert name in cli.list_commands(click.Context(cli))
    result = CliRunner().invoke(cli, [name, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert f" {name} " in result.output.splitlines()[0]


def test_program_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/__main__.py", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: aiostream-server [OPTIONS] COMMAND")


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version_is_one_line(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.output) == (0, f"{__version__}\n")


def test_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(cli, ["srve"])
    assert result.exit_code == 2
    assert "No such command 'srve'" in result.output


async def test_mistakes_that_show_when_used_are_reported_at_once(tmp_path: Path) -> None:
    """Databases that do not answer and factories of every wrong kind: all of them, and no password."""
    config = tmp_path / "server.toml"
    config.write_text(
        """
        [database.down]
        url = "postgresql://reader:hush-hush@127.0.0.1:1/x"
        [database.gone]
        url = "sqlite:////nowhere/x.db"
        [[teams]]
        id = "a"
        factory = "tests.nowhere:build"
        [[teams]]
        id = "b"
        factory = "tests.kit.sample_teams:nope"
        [[teams]]
        id = "c"
        factory = "json:__doc__"
        """,
        "utf-8",
    )
    process = await start("check", "--config", str(config), state_directory=tmp_path)
    _, errors = await process.communicate()
    lines = errors.decode().splitlines()
    assert process.returncode == 1
    assert [line.split()[0] for line in lines] == ["[database.down]", "[database.gone]", *["[[teams]]"] * 3]
    assert "hush-hush" not in errors.decode()


async def test_modules_beside_the_config_file_are_found(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def build(context):\n    return context.nothing\n", "utf-8")
    config = tmp_path / "server.toml"
    config.write_text('[[teams]]\nid = "a"\nfactory = "beside:build"\n', "utf-8")
    process = await start("check", "--config", str(config), state_directory=tmp_path)
    _, errors = await process.communicate()
    said = "[[teams]] #1 (a) the team cannot be built: AttributeError: 'TeamContext' object has no attribute 'nothing'"
    assert errors.decode().splitlines() == [f"{said} ({tmp_path}/beside.py:2)"]


async def test_a_wrong_factory_does_not_hide_a_team_that_cannot_be_built(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(
        '[[teams]]\nid = "a"\nfactory = "tests.nowhere:build"\n[[teams]]\nid = "b"\nfactory = "os:listdir"\n', "utf-8"
    )
    process = await start("check", "--config", str(config), state_directory=tmp_path)
    _, errors = await process.communicate()
    first, second = errors.decode().splitlines()
    assert first.startswith('[[teams]] #1 (a) factory: "tests.nowhere:build" cannot be imported')
    assert second.startswith("[[teams]] #2 (b) the team cannot be built: TypeError: listdir: path should be")


async def test_a_mistake_in_the_file_does_not_hide_what_the_other_tables_name(tmp_path: Path) -> None:
    """Teams keep their numbers; those with a mistake of their own, or of a table that they name, bring no new one."""
    config = tmp_path / "server.toml"
    config.write_text(
        """
        [server]
        prot = 1
        [routing]
        fallback = "a"
        [models.default]
        provider = "demo"
        [models.broken]
        provider = "demo"
        tokens_per_s = -1
        [tools.broken]
        kind = "chart"
        format = "gif"
        [[teams]]
        id = "a"
        factory = "os:listdir"
        presentation = "loud"
        [[teams]]
        id = "b"
        factory = "tests.nowhere:build"
        model = "broken"
        tools = ["broken"]
        [[teams]]
        id = "c"
        factory = "os:listdir"
        [[teams]]
        id = "c"
        factory = "os:listdir"
        """,
        "utf-8",
    )
    process = await start("check", "--config", str(config), state_directory=tmp_path)
    _, errors = await process.communicate()
    *of_file, of_team = errors.decode().splitlines()
    assert len(of_file) == 6
    assert of_team.startswith('[[teams]] #2 (b) factory: "tests.nowhere:build" cannot be imported: ')


def test_without_toml_there_is_nothing_more_to_find(tmp_path: Path) -> None:
    for text in ("[server", "teams = 5", "[[teams]]\nid = 7\n[models]\nx = 1"):
        with pytest.raises(ConfigError) as caught:
            report(written(tmp_path, text), {}, nothing_wrong, lambda _: [])
        assert caught.value.problems


async def test_the_name_of_an_unknown_agent_is_a_note(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    team = '[[teams]]\nid = "a"\nfactory = "aiostream_server.teams.general:build"\nanswer_from = ["Missing"]\n'
    config.write_text(team, "utf-8")
    process = await start("check", "--config", str(config), state_directory=tmp_path)
    out, _ = await process.communicate()
    assert process.returncode == 0
    said = "note      [[teams]] #1 (a) answer_from: no agent is called Missing; there are: Assistant"
    assert said in out.decode().splitlines()
