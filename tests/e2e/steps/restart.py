"""The server restarts while a conversation is open."""

from typing import Final

from tests.e2e import provider
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.kit.process import free_port

_CONFIG: Final = "/openai/config"
_PREFIX: Final = "listed"


async def _restart(stage: Stage) -> None:
    """Where the connection lists the model's id, the next question is answered: no "404: Model not found"."""
    chat, port, base_url = stage.chat, free_port(), stage.provider.base_url
    await chat.open("scripted")
    before = await chat.api(_CONFIG)
    async with stage.programs.server(base_url, name="restarted", port=port) as server:
        await _connect(stage, before, f"{server.url}/v1")
        await chat.open(f"{_PREFIX}.scripted")
        looks = [look async for look in chat.asking(provider.FIRST)]
        assert "4711" in looks[-1].text, looks[-1]
    await chat.page.reload()  # the page asks for the models while the server is away
    await chat.page.wait_for_selector("#chat-input")
    async with stage.programs.server(base_url, name="restarted", port=port):
        looks = [look async for look in chat.asking(provider.RECALL)]
    await stage.picture("restarted")
    await chat.api(f"{_CONFIG}/update", before)
    assert not looks[-1].error, looks[-1].error
    assert "4711" in looks[-1].text, looks[-1]


async def _connect(stage: Stage, before: dict[str, object], url: str) -> None:
    """Add a connection that lists its models."""
    urls, keys, configs = (before[f"OPENAI_API_{name}"] for name in ("BASE_URLS", "KEYS", "CONFIGS"))
    assert isinstance(urls, list)
    assert isinstance(keys, list)
    assert isinstance(configs, dict)
    listed = {"enable": True, "prefix_id": _PREFIX, "model_ids": ["scripted"]}
    after = {
        "OPENAI_API_BASE_URLS": [*urls, url],
        "OPENAI_API_KEYS": [*keys, "any"],
        "OPENAI_API_CONFIGS": {**configs, str(len(urls)): listed},
    }
    await stage.chat.api(f"{_CONFIG}/update", {**before, **after})


STEPS: Final = (Step("restart", _restart),)
