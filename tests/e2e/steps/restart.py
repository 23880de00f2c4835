"""The server restarts while a conversation is open, and the page asks for its models meanwhile."""

from collections.abc import Mapping
from typing import Any, Final

from tests.e2e import provider
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.kit.process import free_port

_CONNECTIONS: Final = "/openai/config"
_SETTINGS: Final = "/api/v1/configs/connections"
_PREFIX: Final = "restarted"


async def _restart(stage: Stage) -> str:
    """The next question is answered where Open WebUI keeps the list of models, or the connection has their ids."""
    await stage.chat.open("scripted")
    settings = await stage.chat.api(_SETTINGS)
    unprepared = await _ask_across_restart(stage, [])
    listed = await _ask_across_restart(stage, ["scripted"])
    await stage.picture("restarted")
    await stage.chat.api(_SETTINGS, {**settings, "ENABLE_BASE_MODELS_CACHE": True})
    cached = await _ask_across_restart(stage, [])
    await stage.chat.api(_SETTINGS, settings)
    assert listed == cached == "answered", f"with ids {listed}, with a list that is kept {cached}"
    return f"without either: {unprepared}"


async def _ask_across_restart(stage: Stage, model_ids: list[str]) -> str:
    """What became of the first question after the restart."""
    chat, port, base_url = stage.chat, free_port(), stage.provider.base_url
    before = await chat.api(_CONNECTIONS)
    async with stage.programs.server(base_url, name="restarted", port=port) as server:
        await chat.api(f"{_CONNECTIONS}/update", _connected(before, f"{server.url}/v1", model_ids))
        await chat.open(f"{_PREFIX}.scripted")
        looks = [look async for look in chat.asking(provider.FIRST)]
        assert "4711" in looks[-1].text, looks[-1]
    await chat.page.reload()
    await chat.page.wait_for_selector("#chat-input")
    async with stage.programs.server(base_url, name="restarted", port=port):
        if await chat.page.get_by_text("Select a model").count():
            told = "the page has forgotten the model"
        else:
            looks = [look async for look in chat.asking(provider.RECALL)]
            told = "answered" if "4711" in looks[-1].text else " ".join(looks[-1].error.split())
    await chat.api(f"{_CONNECTIONS}/update", before)
    return told


def _connected(before: Mapping[str, Any], url: str, model_ids: list[str]) -> dict[str, Any]:
    """The settings of the connections with one more."""
    urls, keys, configs = (before[f"OPENAI_API_{name}"] for name in ("BASE_URLS", "KEYS", "CONFIGS"))
    config = {"enable": True, "prefix_id": _PREFIX, "model_ids": model_ids}
    return {
        **before,
        "OPENAI_API_BASE_URLS": [*urls, url],
        "OPENAI_API_KEYS": [*keys, "any"],
        "OPENAI_API_CONFIGS": {**configs, str(len(urls)): config},
    }


STEPS: Final = (Step("restart", _restart, limit_s=180.0),)
