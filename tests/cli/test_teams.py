"""`aiostream-server teams list` and `version --verbose`: what an administrator asks before anything is started."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from aiostream_server import __version__
from aiostream_server.cli.commands import cli

CONFIG = """
[models.large]
provider = "demo"
[[teams]]
id = "sales"
name = "Sales"
description = "Orders\\u2028and \\u001b[31mcustomers"
factory = "nowhere:build"
model = "large"
[[teams]]
id = "files"
component = "files.json"
"""


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def written(folder: Path) -> str:
    path = folder / "server.toml"
    path.write_text(CONFIG, "utf-8")
    return str(path)


def test_each_team_is_a_line_and_nothing_of_it_obeyed_by_a_terminal(tmp_path: Path) -> None:
    """Nothing is imported: `check` says whether a team can be built."""
    result = invoke("teams", "list", "--config", written(tmp_path))
    head, sales, files = result.stdout.splitlines()
    assert head.split() == ["ID", "NAME", "MODEL", "SOURCE", "DESCRIPTION"]
    assert sales.split("  ")[0] == "sales"
    assert "nowhere:build" in sales
    assert "\x1b" not in result.stdout
    assert files.split() == ["files", "files", "-", str(tmp_path / "files.json"), "-"]


def test_json_has_whole_descriptions(tmp_path: Path) -> None:
    result = invoke("teams", "list", "--json", "--config", written(tmp_path))
    sales, files = json.loads(result.stdout)
    assert sales == {
        "id": "sales",
        "name": "Sales",
        "description": "Orders\u2028and \x1b[31mcustomers",
        "source": "nowhere:build",
        "model": "large",
    }
    assert files["model"] is None


def test_without_a_file_the_built_in_teams_are_listed() -> None:
    assert [team["id"] for team in json.loads(invoke("teams", "list", "--json").stdout)] == ["general", "data"]


def test_a_broken_team_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text("[teams", "utf-8")
    result = invoke("teams", "list", "--config", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "line 1" in result.stderr


def test_verbose_version_lists_the_libraries() -> None:
    first, *others = invoke("version", "--verbose").stdout.splitlines()
    assert first == __version__
    named = dict(line.split(maxsplit=1) for line in others if not line.startswith("installed in"))
    assert {"Python", "system", "aiohttp", "autogen-core", "mcp"} <= named.keys()


def test_neither_a_key_nor_a_secret_file_is_needed(tmp_path: Path) -> None:
    """Nothing is asked. Each that is missing is a note, and not one of what is listed."""
    path = tmp_path / "server.toml"
    keys = """
[models.default]
provider = "openai"
model = "m"
api_key_env = "NO_SUCH_KEY"
[models.other]
provider = "openai"
model = "m"
api_key_file = "$CREDENTIALS_DIRECTORY/key"
[database.sales]
url_env = "NO_SUCH_KEY"
[open_webui]
user_token_secret_file = "nowhere"
[tools.search]
kind = "http"
description = "searches"
url = "https://example.org/"
header_env = { Authorization = "NO_SUCH_KEY" }
[[teams]]
id = "a"
factory = "tests.kit.sample_teams:solo"
tools = ["search"]
[[teams]]
id = "b"
component = "b.json"
model = "default"
"""
    path.write_text(keys, "utf-8")
    listed = invoke("teams", "list", "--json", "--config", str(path))
    assert listed.exit_code == 0
    assert [(team["id"], team["model"]) for team in json.loads(listed.stdout)] == [("a", "default"), ("b", "default")]
    notes = listed.stderr.splitlines()
    assert "note: api_key_env: the environment variable NO_SUCH_KEY is not set" in notes
    named = ["api_key_env", "api_key_file", "header_env", "url_env", "user_token_secret_file"]
    assert sorted(note.split(": ")[1] for note in notes) == named
    assert invoke("check", "--config", str(path)).exit_code == 1
