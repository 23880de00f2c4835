"""AutoGen Studio's own default gallery, built by AutoGen Studio itself: see `scripts/dev/fetch gallery`."""

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from aiostream_server.cli.commands import cli
from aiostream_server.config.load import Beside, load_config
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.teams.components.loading import load
from aiostream_server.teams.components.reading import read_component
from tests.components.making import Json, written
from tests.kit.needs import GALLERY, needs
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, serving

TEAMS: Final = ("RoundRobin Team", "Selector Team", "Web Agent Team (Operator)", "Deep Research Team")
AGENTS: Final = ("assistant_agent", "Web Surfer Agent", "Verification Assistant", "user_proxy")
MISSING: Final = re.compile(
    r'.*agent "\w+", \$[^ ]* \((FunctionTool|MultimodalWebSurfer)\): '
    r'(the Python package "\w+" is not installed(: pip .*)?|'
    r"its browser is not installed: \S+ -m playwright install chromium)|"
    r'.*agent "\w+", \$[^ ]*: autogen_ext\.\S+ cannot be imported: the Python package "\w+" is not installed(: pip .*)?'
)

pytestmark = needs("gallery")


def configured(folder: Path, base_url: str) -> Path:
    """A configuration with the scripted provider's models and a key."""
    path = folder / "server.toml"
    tables = [
        f'[models."{name}"]\nprovider = "openai"\nmodel = "{name}"\nbase_url = "{base_url}"\napi_key_env = "KEY"\n'
        for name in ("gpt-4o-mini", "gpt-4o")
    ]
    path.write_text("".join(tables), "utf-8")
    return path


def pointed_at(base_url: str, folder: Path) -> Path:
    """The gallery with all of its OpenAI models at `base_url`."""
    gallery = json.loads(GALLERY.read_text("utf-8"))
    for component in _components(gallery):
        if component["provider"].endswith(".OpenAIChatCompletionClient"):
            component["config"]["base_url"] = base_url
    return written(folder / "gallery.json", gallery)


def _components(value: Any) -> list[Json]:
    if isinstance(value, list):
        return [found for item in value for found in _components(item)]
    if not isinstance(value, dict):
        return []
    here = [value] if isinstance(value.get("provider"), str) else []
    return here + [found for item in value.values() for found in _components(item)]


def added(monkeypatch: pytest.MonkeyPatch, config: Path, gallery: Path, name: str) -> str:
    monkeypatch.setenv("KEY", "sk-table")
    arguments = ["teams", "add", str(gallery), "--choose", name, "--config", str(config), "--trust"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_it_is_the_gallery_that_these_tests_are_about() -> None:
    with pytest.raises(ConfigError) as caught:
        read_component(GALLERY)
    names = re.findall(r'"([^"]+)"', caught.value.problems[0])
    assert names == [*TEAMS, *AGENTS]
    assert all(read_component(GALLERY, name) for name in names)


async def test_its_round_robin_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added by the command, served and asked; its calculator is called."""
    async with ScriptedProvider() as provider:
        config = configured(tmp_path, provider.base_url)
        told = await asyncio.to_thread(
            added, monkeypatch, config, pointed_at(provider.base_url, tmp_path), "RoundRobin Team"
        )
        assert "agent   assistant_agent: AssistantAgent, model gpt-4o-mini, tools calculator" in told
        provider.script(
            ScriptedAnswer(Call("calculator", {"a": 6, "b": 7, "operator": "*"})), ScriptedAnswer("It is 42. TERMINATE")
        )
        async with serving(load_config(config, {"KEY": "sk-table"}), tmp_path) as server:
            answer = await ask(server.url, "6 * 7?", model="roundrobin-team")
        assert "calculator" in answer.text
        assert "42.0" in answer.text
        assert answer.text.rstrip().endswith("It is 42. TERMINATE")
        assert answer.errors == []
        assert {exchange.headers["Authorization"] for exchange in provider.exchanges} == {"Bearer sk-table"}


async def test_its_selector_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The selector's choice is not shown; the critic ends the run."""
    async with ScriptedProvider() as provider:
        config = configured(tmp_path, provider.base_url)
        await asyncio.to_thread(added, monkeypatch, config, pointed_at(provider.base_url, tmp_path), "Selector Team")
        provider.script(
            ScriptedAnswer("assistant_agent"),
            ScriptedAnswer(Call("calculator", {"a": 2, "b": 3, "operator": "+"})),
            ScriptedAnswer("Right, ", "it is 5. TERMINATE"),
        )
        async with serving(load_config(config, {"KEY": "sk-table"}), tmp_path) as server:
            answer = await ask(server.url, "2 + 3?", model="selector-team")
        assert len(provider.exchanges) == 3
        assert "📦 calculator: 5.0" in answer.text
        assert "assistant_agent" not in answer.text
        assert answer.text.rstrip().endswith("Right, it is 5. TERMINATE")
        assert answer.errors == []


def test_the_documentation_shows_what_the_command_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "teams.md").read_text("utf-8")
    shown = re.search(r"^\$ aiostream-server (teams add .*)\n((?:.*\n)*?)```", text, re.MULTILINE)
    assert shown
    monkeypatch.chdir(tmp_path)
    Path("gallery.json").write_bytes(GALLERY.read_bytes())
    Path("server.toml").write_text('[models.mine]\nprovider = "openai"\nmodel = "gpt-4o-mini"\n', "utf-8")
    result = CliRunner().invoke(cli, shlex.split(shown[1]), catch_exceptions=False)
    assert result.stdout == shown[2]


@pytest.mark.parametrize("name", [*TEAMS, *AGENTS])
async def test_each_other_team_loads_or_names_what_is_missing(tmp_path: Path, name: str) -> None:
    """In one line: the package, the browser, and the agent that needs it."""
    component = read_component(GALLERY, name)
    path = written(tmp_path / "team.json", component)
    config = load_config(configured(tmp_path, "https://api.openai.com/v1"), {"KEY": "sk-table"}, Beside(has_teams=True))
    async with open_models(config.models, for_components=True) as models:
        try:
            load(path, models, trusted=True)
        except ConfigError as exc:
            (problem,) = exc.problems
        else:
            return
    assert MISSING.fullmatch(problem)
    assert name in ("Web Agent Team (Operator)", "Deep Research Team", "Web Surfer Agent")


@pytest.mark.parametrize("name", TEAMS)
async def test_without_a_key_each_says_which_model_needs_one(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "team.json", read_component(GALLERY, name))
    async with open_models({}) as models:
        with pytest.raises(ConfigError) as caught:
            load(path, models, trusted=True)
    (problem,) = caught.value.problems
    assert MISSING.fullmatch(problem) or re.search(
        r'agent "\w+", \$\S+ ?(\(and of .*\))?: the model "gpt-4o(-mini)?" has no key, and no \[models\.\*\] is at its',
        problem,
    )
