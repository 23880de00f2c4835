"""The catalogue has every team, or reports every reason why it cannot be loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import ModelInfo
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.config.model import Config, DemoModelConfig, OpenAIModelConfig, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.teams.autogen_private.running_team import background_tasks
from aiostream_server.teams.autogen_private.structure import model_contexts
from aiostream_server.teams.autogen_private.team_facts import agent_names
from aiostream_server.teams.catalogue import Catalogue, load_catalogue
from tests.kit.serving import ask, config_for, serving


async def catalogue_of(*teams: TeamConfig, models: dict[str, Any] | None = None) -> Catalogue:
    config = Config(models={"default": DemoModelConfig(provider="demo")} if models is None else models, teams=teams)
    async with open_models(config.models) as opened:
        return load_catalogue(config, opened, {})


def team(factory: str, name: str = "t") -> TeamConfig:
    return TeamConfig(id=name, factory=f"tests.teams.{factory}")


def dumped(tmp_path: Path, *words: str, vision: bool = False, stream: bool = False) -> Path:
    """A round robin of one agent, as AutoGen's own JSON."""
    info = ModelInfo(
        vision=vision, function_calling=False, json_output=False, family="unknown", structured_output=False
    )
    client = ReplayChatCompletionClient(list(words), model_info=info)
    agent = AssistantAgent("Parrot", client, model_client_stream=stream)
    path = tmp_path / "team.json"
    path.write_text(RoundRobinGroupChat([agent], max_turns=1).dump_component().model_dump_json())
    return path


@pytest.mark.parametrize(("factory", "agent"), [("factories:sync", "Sync"), ("factories:later", "Later")])
async def test_factories_of_both_kinds(factory: str, agent: str) -> None:
    (spec,) = await catalogue_of(team(factory))
    assert agent_names(await spec.build()) == {agent}
    assert await spec.build() is not await spec.build()
    assert (spec.id, spec.name) == ("t", "t")


async def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "empty.json").write_text('{"provider": "no.such.Class", "config": {}}')
    (tmp_path / "list.json").write_text("[]")
    client = ReplayChatCompletionClient([]).dump_component()
    (tmp_path / "client.json").write_text(client.model_dump_json())
    files = ["missing", "bad", "empty", "list", "client"]
    with pytest.raises(ConfigError) as caught:
        await catalogue_of(
            team("missing:build", "a"),
            team("factories:missing", "b"),
            team("factories:NOT_CALLABLE", "c"),
            team("broken_factory:build", "d"),
            *[TeamConfig(id=name, component=tmp_path / f"{name}.json") for name in files],
        )
    problems = caught.value.problems
    assert [problem.split("(")[1].split(")")[0] for problem in problems] == ["a", "b", "c", "d", *files]
    for problem, words in zip(
        problems,
        ["No module named", "no attribute 'missing'", "is a int: expected a function", "KeyError: 'no such setting'",
         "cannot be read: no such file", "is not JSON", "no.such.Class is not allowed", "neither a team nor",
             "holds a model, not a team"],
        strict=True,
    ):  # fmt: skip
        assert words in problem
        assert "\n" not in problem


async def test_a_factory_that_returns_no_team() -> None:
    (spec,) = await catalogue_of(team("factories:wrong"))
    with pytest.raises(TypeError, match="returned int: expected an AutoGen team"):
        await spec.build()


async def test_built_in_teams_are_found_by_their_ids() -> None:
    catalogue = await catalogue_of()
    assert [spec.id for spec in catalogue] == ["general", "data"]
    assert catalogue["general"].name == "General assistant"
    assert catalogue.get("nobody") is None
    assert agent_names(await catalogue["general"].build()) == {"Assistant"}


async def test_a_component_brings_its_own_model_which_decides_whether_it_sees_images(tmp_path: Path) -> None:
    for vision in (True, False):
        component = TeamConfig(id="t", component=dumped(tmp_path, "hi", vision=vision))
        (spec,) = await catalogue_of(component, models={})
        assert spec.sees_images is vision


async def test_a_factorys_team_sees_images_if_its_model_does() -> None:
    info = {
        "vision": True,
        "function_calling": True,
        "json_output": True,
        "family": "unknown",
        "structured_output": True,
    }
    model = OpenAIModelConfig.model_validate(
        {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "model_info": info}
    )
    (spec,) = await catalogue_of(team("factories:sync"), models={"default": model})
    assert spec.sees_images


@pytest.mark.parametrize("stream", [True, False])
async def test_a_components_words_are_shown_once(tmp_path: Path, stream: bool) -> None:
    """With and without AutoGen's streaming; the usage of its model is counted, too."""
    component = TeamConfig(id="parrot", component=dumped(tmp_path, "Hello to all of you", stream=stream))
    async with serving(config_for("http://127.0.0.1:9/v1", component), tmp_path) as server:
        for _ in range(2):  # a fresh team each time
            answer = await ask(server.url, "hi", model="parrot", stream_options={"include_usage": True})
            assert answer.text.endswith("**Parrot**\n\nHello to all of you")
            assert answer.text.count("Hello") == 1
            assert answer.frames[-1]["usage"]["completion_tokens"] == 5
            pieces = [frame for frame in answer.frames if "of " in str(frame.get("choices"))]
            assert bool("all" not in str(pieces[0])) == stream


def test_the_structure_of_a_team_is_read() -> None:
    client = ReplayChatCompletionClient([])
    inner = RoundRobinGroupChat([AssistantAgent("Inner", client)])
    society = SocietyOfMindAgent("Society", inner, client)
    team = RoundRobinGroupChat([society, AssistantAgent("Outer", client)])
    assert agent_names(team) == {"Inner", "Society", "Outer"}
    assert agent_names(object()) == frozenset()
    assert list(background_tasks(team)) == []
    assert list(model_contexts(object())) == []
    assert json.dumps(sorted(agent_names(RoundRobinGroupChat([inner])))) == '["Inner"]'
