"""`/healthz` and `/readyz`, and what a server that stops says on them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.web.traffic import TRAFFIC
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, asking, config_for, get_json, sample_team, serving
from tests.web.raw import RawAnswer, head, post, send


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(load_config(None, {}), tmp_path) as server:
        yield server


async def ready(server: Server, prefix: str = "") -> RawAnswer:
    return await send(server.url, head(f"GET {prefix}/readyz HTTP/1.1"))


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_server_that_serves_is_alive_and_ready(server: Server, prefix: str) -> None:
    alive = await send(server.url, head(f"GET {prefix}/healthz HTTP/1.1"))
    assert (alive.status, json.loads(alive.body)) == (200, {"status": "ok"})
    answer = await ready(server, prefix)
    idle = {"status": "ready", "live_runs": 0, "viewers": 0, "queued": 0}
    assert (answer.status, json.loads(answer.body)) == (200, idle)


async def test_readiness_tells_runs_and_viewers(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("a ", Stall()))
        config = config_for(provider.base_url, sample_team("solo"))
        async with (
            serving(config, tmp_path) as server,
            asking(server.url, "hi", model="solo") as one,
            asking(server.url, "hi", model="solo") as two,
        ):
            await asyncio.gather(anext(one.pieces()), anext(two.pieces()))
            vitals = await get_json(f"{server.url}/readyz")
    assert (vitals["live_runs"], vitals["viewers"]) == (2, 2)


async def test_a_lame_duck_is_not_ready_and_answers(server: Server) -> None:
    server.runner.app[TRAFFIC].phase = "lame_duck"
    answer = await ready(server)
    assert (answer.status, json.loads(answer.body)["status"]) == (503, "lame_duck")
    assert (await send(server.url, post())).status == 200


async def test_a_draining_server_refuses_questions_and_goes_on_telling(server: Server) -> None:
    server.runner.app[TRAFFIC].drain(bodies_within_s=1.0)
    answer = await ready(server)
    assert (answer.status, json.loads(answer.body)["status"]) == (503, "draining")
    refused = await send(server.url, post())
    assert (refused.status, refused.error["code"]) == (503, "shutting_down")
    assert refused.headers["Retry-After"]
    assert (await send(server.url, head("GET /v1/models HTTP/1.1"))).status == 200


async def test_a_closed_registry_is_draining(server: Server) -> None:
    """However it came to be closed."""
    await server.state.registry.close()
    answer = await ready(server)
    assert (answer.status, json.loads(answer.body)["status"]) == (503, "draining")
    assert (await send(server.url, post())).error["code"] == "shutting_down"
