"""The server restarts while a conversation is open, and the page asks for its models meanwhile."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

from tests.e2e import provider
from tests.e2e.programs import Server
from tests.e2e.stage import Stage
from tests.e2e.step import Step
from tests.e2e.steps.seen import has_text
from tests.kit.process import free_port
from tests.kit.waiting import wait_for

_CONNECTIONS: Final = "/openai/config"
_SETTINGS: Final = "/api/v1/configs/connections"
_PREFIX: Final = "restarted"
_MODEL: Final = f"{_PREFIX}.scripted"


async def _restart(stage: Stage) -> str:
    """The next question is answered where Open WebUI keeps the list of models, or the connection has their ids."""
    await stage.chat.open("scripted")
    settings = await stage.chat.api(_SETTINGS)
    before = len(stage.server.lines("run_finished"))
    unprepared = await _ask_across_restart(stage, [])
    stage.turns += len(stage.server.lines("run_finished")) - before  # 0.12 asks another model then
    listed = await _ask_across_restart(stage, ["scripted"])
    await stage.picture("restarted")
    await stage.chat.api(_SETTINGS, {**settings, "ENABLE_BASE_MODELS_CACHE": True})
    cached = await _ask_across_restart(stage, [])
    await stage.chat.api(_SETTINGS, settings)
    assert listed == cached == "answered", f"with ids {listed}, with a list that is kept {cached}"
    return f"without either: {unprepared}"


async def _ask_across_restart(stage: Stage, model_ids: list[str]) -> str:
    """What became of the first question after the restart."""
    chat, port = stage.chat, free_port()
    async with _connected(stage, port, model_ids):
        async with _server(stage, port):
            await chat.open(_MODEL)
            looks = [look async for look in chat.asking(provider.FIRST)]
            assert "4711" in looks[-1].text, looks[-1]
        await chat.page.reload()
        await chat.page.wait_for_selector("#chat-input")
        async with _server(stage, port):
            if await chat.page.get_by_text("Select a model").count():
                return "the page has forgotten the model"
            looks = [look async for look in chat.asking(provider.RECALL)]
    return "answered" if "4711" in looks[-1].text else " ".join(looks[-1].error.split()) or "another model answered"


async def _interrupted(stage: Stage) -> None:
    """An answer that the restart cut says so behind its last word, and its status line stands still."""
    chat, port = stage.chat, free_port()
    await chat.open("scripted")
    async with _connected(stage, port, []):
        async with _server(stage, port):
            await chat.open(_MODEL)
            await chat.send(provider.LONG)
            await wait_for(partial(has_text, stage, "1 2 3"), "the answer's beginning", within_s=10)
        await chat.until_running(is_so=False)
    await stage.picture("interrupted")
    last = await chat.look()
    assert "restarted before the answer was complete" in last.text, last.text[-300:]
    assert not await chat.answers.last.locator(".shimmer").count(), "the status line still shimmers"


def _server(stage: Stage, port: int) -> AbstractAsyncContextManager[Server]:
    return stage.programs.server(stage.provider.base_url, name="restarted", port=port)


@asynccontextmanager
async def _connected(stage: Stage, port: int, model_ids: list[str]) -> AsyncIterator[None]:
    """Open WebUI has one more connection, whose models begin with a prefix."""
    before: dict[str, Any] = await stage.chat.api(_CONNECTIONS)
    urls, keys, configs = (before[f"OPENAI_API_{name}"] for name in ("BASE_URLS", "KEYS", "CONFIGS"))
    config = {"enable": True, "prefix_id": _PREFIX, "model_ids": model_ids}
    after = {
        "OPENAI_API_BASE_URLS": [*urls, f"http://127.0.0.1:{port}/v1"],
        "OPENAI_API_KEYS": [*keys, "any"],
        "OPENAI_API_CONFIGS": {**configs, str(len(urls)): config},
    }
    await stage.chat.api(f"{_CONNECTIONS}/update", {**before, **after})
    try:
        yield
    finally:
        await stage.chat.api(f"{_CONNECTIONS}/update", before)


STEPS: Final = (
    Step("restart", _restart, limit_s=180.0),
    Step("interrupted", _interrupted),
)
