"""What Open WebUI reads of the model list."""

import time
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, ModelConfig, OpenAIModelConfig
from tests.kit.serving import ask, config_for, get_json, sample_team, serving


@pytest.mark.parametrize("path", ["/v1/models", "/v1//models", "/api/v1/models"])
async def test_every_team_and_auto_with_all_that_open_webui_shows(tmp_path: Path, path: str) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        body = await get_json(f"{server.url}{path}")
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["auto", "general", "data"]
    assert [model["name"] for model in body["data"]] == ["Auto", "General assistant", "Data analysis"]
    for model in body["data"]:
        assert model["object"] == "model"
        assert abs(model["created"] - time.time()) < 60
        assert model["owned_by"]
        assert model["description"]
        meta = model["info"]["meta"]
        assert meta["description"] == model["description"]
        assert meta["capabilities"]["builtin_tools"] is False
        assert meta["capabilities"]["usage"] is True
        assert meta["capabilities"]["vision"] is False
        for suggestion in meta["suggestion_prompts"]:
            assert " ".join(suggestion["title"]) == suggestion["content"]
        assert "pipeline" not in model  # Open WebUI would send its users' names along, and call filters
    assert body["data"][0]["info"]["meta"]["suggestion_prompts"]


async def test_one_model_is_its_entry_in_the_list(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        for model in (await get_json(f"{server.url}/v1/models"))["data"]:
            assert await get_json(f"{server.url}/v1/models/{model['id']}") == model


async def test_a_configured_team_has_the_names_of_its_config(tmp_path: Path) -> None:
    team = sample_team(
        "solo", name="The soloist", description="Sings alone.", examples=("Sing me something short please",)
    )
    config = config_for("http://127.0.0.1:9/v1", team, sample_team("pair"))
    async with serving(config, tmp_path) as server:
        _, solo, pair = (await get_json(f"{server.url}/v1/models"))["data"]
    assert (solo["id"], solo["name"], solo["description"]) == ("solo", "The soloist", "Sings alone.")
    suggestion = {"content": "Sing me something short please", "title": ["Sing me something", "short please"]}
    assert solo["info"]["meta"]["suggestion_prompts"] == [suggestion]
    assert (pair["id"], pair["name"]) == ("pair", "pair")


async def test_vision_is_told_of_models_that_see(tmp_path: Path) -> None:
    sees = {
        "vision": True,
        "function_calling": True,
        "json_output": True,
        "structured_output": False,
        "family": "unknown",
    }
    models: dict[str, ModelConfig] = {
        "default": OpenAIModelConfig(provider="openai", model="blind", base_url="http://127.0.0.1:9/v1"),
        "seeing": OpenAIModelConfig.model_validate(
            {"provider": "openai", "model": "eyes", "base_url": "http://127.0.0.1:9/v1", "model_info": sees}
        ),
    }
    config = Config(models=models, teams=(sample_team("solo"), sample_team("pair", model="seeing")))
    async with serving(config, tmp_path) as server:
        listed = (await get_json(f"{server.url}/v1/models"))["data"]
    vision = {model["id"]: model["info"]["meta"]["capabilities"]["vision"] for model in listed}
    assert vision == {"auto": True, "solo": False, "pair": True}


async def test_the_alias_of_auto_is_not_listed_and_works(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        answer = await ask(server.url, "What is 15% of 850?", model="autogen-agents")
    assert "127.5" in answer.text
    assert {frame["model"] for frame in answer.frames} == {"autogen-agents"}
