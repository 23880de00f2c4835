"""Answers to what is nearly right, and to browsers: advice, Azure's paths, signed links, and aiohttp's own refusals."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncAzureOpenAI

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig
from tests.kit.scripted_provider import Gate, Reply, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, config_for, sample_team, serving
from tests.kit.waiting import wait_for
from tests.web.raw import HELLO, head, post, send
from tests.web.test_keys import keyed, make_key
from tests.web.watching import call, solo, start_in_background, watching

CANARY = "canary-3f2a"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(load_config(None, {}), tmp_path) as running:
        yield running


@asynccontextmanager
async def keyed_team(tmp_path: Path, *replies: Reply) -> AsyncIterator[tuple[Server, str]]:
    """A team of one agent, and a key."""
    file = tmp_path / "keys.json"
    key = make_key(file, "one", None)
    async with ScriptedProvider() as provider:
        provider.script(*replies)
        config = config_for(provider.base_url, sample_team("solo"), auth=AuthConfig(keys_file=file))
        async with serving(config, tmp_path) as server:
            yield server, key


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/chat/completions", "the base URL ends in /v1"),
        ("/api/chat/completions", "the base URL ends in /v1"),
        ("/models", "the base URL ends in /v1"),
        ("/v1/v1/chat/completions", "the base URL ends in one /v1"),
        ("/v1/chat/completions/chat/completions", "the base URL ends in /v1, without /chat/completions"),
        ("/v1/chat/completions/models", "the base URL ends in /v1, without /chat/completions"),
        ("/v1/completions", "use /v1/chat/completions"),
        ("/v1/embeddings", "use /v1/chat/completions"),
        ("/v1/messages", "use /v1/chat/completions"),
        ("/v1/files", "use /v1/chat/completions"),
        ("/api/v1/moderations", "use /v1/chat/completions"),
        ("/api/chat", "use /v1/chat/completions"),
        ("/api/generate", "use /v1/chat/completions"),
        ("/v1", "the base URL ends in /v1; use /v1/chat/completions"),
        ("/v1/responses/compact", "this is not served; /v1/responses is"),
        ("/v1/conversations", "none is created: send /v1/responses a name of yours as `conversation`"),
        ("/v2", "the base URL ends in /v1; use /v1/chat/completions"),
    ],
)
async def test_an_unknown_path_is_told_what_to_do(server: Server, path: str, advice: str) -> None:
    answer = await send(server.url, post(path=path))
    assert answer.status == 404
    assert answer.error["message"] == f"there is no {path}: {advice}"


async def test_azures_package_asks_as_it_is(tmp_path: Path) -> None:
    async with (
        keyed(tmp_path, one=None) as (server, keys),
        AsyncAzureOpenAI(azure_endpoint=server.url, api_key=keys["one"], api_version="2024-10-21") as client,
    ):
        answer = await client.chat.completions.create(
            model="general", messages=[{"role": "user", "content": "What is 2+3?"}]
        )
        models = [model.id async for model in client.models.list()]
    assert "2+3 is 5" in (answer.choices[0].message.content or "")
    assert answer.model == "general"
    assert models == ["auto", "general", "data"]


async def test_azures_paths_name_the_model_and_take_its_key(tmp_path: Path) -> None:
    """The body need not name it; where both do, the path counts."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 2+3?"}]}
    async with keyed(tmp_path, one=None) as (server, keys):
        key = f"api-key: {keys['one']}"
        for more in ({}, {"model": "gpt-4o"}):
            path = "/openai/deployments/general/chat/completions?api-version=2024-10-21"
            answer = await send(server.url, post(json.dumps(body | more).encode(), key, path=path))
            assert answer.status == 200
        unknown = await send(server.url, post(HELLO, key, path="/openai/deployments/nope/chat/completions"))
        assert (unknown.status, unknown.error["code"]) == (404, "model_not_found")
        assert (await send(server.url, post(HELLO, key, path="/openai/v1/chat/completions"))).status == 200
        assert (await send(server.url, post(HELLO, path="/openai/v1/chat/completions"))).status == 401


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/nope"])
async def test_an_unknown_expectation_is_417_and_not_repeated(server: Server, path: str) -> None:
    answer = await send(server.url, post(HELLO, f"Expect: {CANARY}", path=path))
    assert answer.status == 417
    assert answer.error["type"] == "invalid_request_error"
    assert CANARY.encode() not in answer.body
    assert answer.headers["Content-Length"] == str(len(answer.body))


async def test_the_usual_expectation_is_met(server: Server) -> None:
    answer = await send(server.url, post(HELLO, "Expect: 100-continue"))
    assert (answer.status, answer.body[:12]) == (100, b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_",
    [
        head("GET /v1/models HTTP/1.1", f"Bad Header: {CANARY}"),
        head("GET /v1/models HTTP/1.1", f"Authorization: Bearer {CANARY}\0"),
        head("GET /v1/models HTTP/1.1", f"Authorization: Bearer {CANARY * 1000}"),
        head(f"GET /{CANARY * 1000} HTTP/1.1"),
        head("POST /v1/models HTTP/1.1", "Content-Length: 3", f"Content-Length: {CANARY}") + b"abc",
        f"{CANARY}\r\n\r\n".encode(),
    ],
)
async def test_what_is_no_http_is_400_in_openais_shape_and_not_repeated(server: Server, request_: bytes) -> None:
    answer = await send(server.url, request_)
    assert answer.status == 400
    assert answer.error["code"] == "invalid_request"
    assert CANARY.encode() not in answer.body
    assert answer.headers["X-Request-ID"].startswith("req-")


async def test_an_event_source_stops_behind_the_end(tmp_path: Path) -> None:
    """Otherwise it reconnects for ever."""
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        async with watching(server.url, run["id"]) as view:
            await view.read_all()
        last = view.numbers[-1]
        for after, status in ((last, 204), (last + 5, 204), (last - 1, 200)):
            headers = {"Last-Event-ID": str(after)}
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{server.url}/v1/runs/{run['id']}/events", headers=headers) as response,
            ):
                assert response.status == status


async def test_a_signed_link_lets_a_browser_watch_one_run(tmp_path: Path) -> None:
    gate = Gate()
    async with keyed_team(tmp_path, ScriptedAnswer(gate, "hi")) as (server, key):
        headers = {"Authorization": f"Bearer {key}"}
        run = await start_in_background(server.url, "hi", model="solo", headers=headers)
        link, (_, listed) = run["watch_url"], await call("GET", f"{server.url}/v1/runs", headers=headers)
        assert link.startswith(f"{server.url}/v1/runs/{run['id']}/events?expires=")
        assert [each["watch_url"] for each in listed["data"]] == [link]
        async with aiohttp.ClientSession() as session, session.get(link) as response:
            assert response.status == 200
            gate.open()
            assert b"event: run_finished" in await response.read()
        other = await start_in_background(server.url, "ho", model="solo", headers=headers)
        for wrong in (
            link.replace("signature=", "signature=A"),
            link.replace("expires=", "expires=9"),
            link.replace(run["id"], other["id"]),
            link.replace("/events?", "?"),
            link.partition("?")[0],
        ):
            async with aiohttp.ClientSession() as session, session.get(wrong) as response:
                assert response.status in (401, 404), wrong
        await wait_for(lambda: not len(server.state.registry), "the runs end")
