"""Every route answers at any server as at the one that drives the run: what is asked here is read, resumed, continued,
stopped and deleted there.

The servers have state directories of their own, as machines do, and share Redis, conversations and `[files] folder`.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiohttp
import pytest

from aiostream_server.config.model import ConversationsConfig, FilesConfig, TeamConfig
from tests.kit.cluster import shared_in
from tests.kit.observing import Remembering
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving, until_idle
from tests.kit.waiting import wait_for
from tests.web.test_client_tools import OSLO, RAIN, WEATHER

pytestmark = pytest.mark.needs("redis")

A2A: Final = {"A2A-Version": "1.0"}
OWN: Final = re.compile(rb"http://127\.0\.0\.1:\d+|expires=\d+&signature=[\w-]+|(?<=\"created\": )\d+")
"""What is of one server or moment in an answer."""
FILE: Final = b"region,total\nEast,1\n"
OF_ONE_PROCESS: Final = {"/healthz", "/readyz", "/metrics", "/page/{name}"}


@dataclass(frozen=True)
class Two:
    """`here` drives the runs that are asked for. `reached` has all requests."""

    here: Server
    there: Server
    provider: ScriptedProvider
    session: aiohttp.ClientSession
    reached: Remembering

    async def send(self, server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, server.url + path, json=body, headers=sent) as response:
            return response.status, OWN.sub(b"0", await response.read())

    async def json(self, server: Server, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, text = await self.send(server, method, path, body, **headers)
        assert status in (200, 202), text
        return json.loads(text)

    async def same(self, path: str, **headers: str) -> bytes:
        """What both answer, once the end of a run is written."""
        answers: list[tuple[int, bytes]] = []

        async def are_same() -> bool:
            answers[:] = [await self.send(server, "GET", path, **headers) for server in (self.here, self.there)]
            return answers[0] == answers[1]

        try:
            await wait_for(are_same)
        except AssertionError:
            assert answers[1] == answers[0], path
        status, body = answers[0]
        assert status == 200, answers
        return body

    async def until_live(self, server: Server) -> None:
        await wait_for(lambda: len(server.state.registry) == 1, "a live run")

    async def run(self, text: str = "hi", **fields: Any) -> Any:
        """Ask here, in the background."""
        asked = {"model": "solo", "messages": [{"role": "user", "content": text}], "background": True, **fields}
        return await self.json(self.here, "POST", "/v1/runs", asked)


def _answer(asked: Mapping[str, Any]) -> ScriptedAnswer:
    """`wait` is answered by a word and nothing more, `tool` by a call of the client's."""
    last = [message["content"] for message in asked["messages"] if message["role"] == "user"][-1]
    if "tool" in str(last) and asked["messages"][-1]["role"] == "user":
        return ScriptedAnswer(OSLO)
    return ScriptedAnswer("one ", Stall()) if "wait" in str(last) else ScriptedAnswer("one ", "two")


@asynccontextmanager
async def two_servers(redis: RedisServer, prefix: str, folder: Path) -> AsyncIterator[Two]:
    async with ScriptedProvider() as provider, aiohttp.ClientSession() as session:
        provider.script(_answer)
        config = config_for(
            provider.base_url,
            sample_team("solo"),
            sample_team("until_approved"),
            TeamConfig(id="caller", factory="tests.web.calling_teams:lone", client_tools=True),
            runs=shared_in(redis.url, prefix),
            files=FilesConfig(folder=folder / "shared"),
            conversations=ConversationsConfig(url=f"sqlite+aiosqlite:///{folder}/conversations.db"),
        )
        reached = Remembering()
        async with serving(config, folder / "1", reached) as here, serving(config, folder / "2", reached) as there:
            yield Two(here, there, provider, session, reached)


async def _lists_and_cards(two: Two) -> None:
    run = await two.run()
    await until_idle(two.here)
    await two.same("/v1/runs")
    await two.same(f"/v1/runs/{run['id']}")
    assert (await two.same(f"/v1/runs/{run['id']}/events")).count(b"event: token") == 2
    await two.same(f"/v1/runs/{run['id']}/events?starting_after=3")
    for path in ("/v1/models", "/v1/models/solo", "/v1/teams", "/openapi.json", "/", "/runs", f"/runs/{run['id']}"):
        await two.same(path)
    for path in ("/.well-known/agent-card.json", "/a2a/solo/.well-known/agent-card.json"):
        await two.same(path)


async def _cancelled(two: Two) -> None:
    run = await two.run("wait")
    cancelled = await two.json(two.there, "POST", f"/v1/runs/{run['id']}/cancel")
    assert (cancelled["status"], cancelled["reason"]) == ("finished", "cancelled")
    await until_idle(two.here)


async def _chat_goes_on(two: Two) -> None:
    """What a team remembers of a conversation, it remembers there."""
    talk = {"X-Conversation-Id": "talk"}
    asked = {"model": "solo", "messages": [{"role": "user", "content": "first"}]}
    await two.json(two.here, "POST", "/v1/chat/completions", asked, **talk)
    asked["messages"] = [{"role": "user", "content": "second"}]
    await two.json(two.there, "POST", "/v1/chat/completions", asked, **talk)
    assert _told(two)[-3:] == ["first", "one two", "second"]


async def _files(two: Two) -> None:
    files = two.here.state.state.resources.files
    assert files is not None
    run = await two.run()
    await until_idle(two.here)
    async with two.session.get(f"{two.here.url}/v1/runs/{run['id']}") as response:
        watch_url = (await response.json())["watch_url"].removeprefix(two.here.url)
    assert b"run_finished" in await two.same(watch_url)
    owner = (await two.here.state.registry.find(run["id"], None)).owner
    file = files.describe(FILE, "text/csv", "totals", owner)
    await files.keep(file, FILE)
    assert await two.same(f"/v1/files/{file.id}") == FILE
    link = files.links.link("", file.id, file.expires_at)
    assert await two.same(link) == FILE


async def _responses(two: Two) -> None:
    first = await two.json(two.here, "POST", "/v1/responses", {"model": "solo", "input": "first"})
    path = f"/v1/responses/{first['id']}"
    assert json.loads(await two.same(path))["status"] == "completed"
    await two.same(f"{path}?stream=true")
    await two.same(f"{path}?stream=true&starting_after=4")
    assert b"first" in await two.same(f"{path}/input_items")
    going_on = {"model": "solo", "input": "second", "previous_response_id": first["id"]}
    await two.json(two.there, "POST", "/v1/responses", going_on)
    assert _told(two)[-3:] == ["first", "one two", "second"]
    waiting = {"model": "solo", "input": "wait", "background": True}
    live = await two.json(two.here, "POST", "/v1/responses", waiting)
    cancelled = await two.json(two.there, "POST", f"/v1/responses/{live['id']}/cancel")
    assert cancelled["status"] == "cancelled"
    await two.json(two.there, "DELETE", path)
    for server in (two.here, two.there):
        assert (await two.send(server, "GET", path))[0] == 404


async def _ag_ui(two: Two) -> None:
    """A thread whose runs were driven at both."""
    asked: dict[str, Any] = {"threadId": "page", "state": {}, "tools": [], "context": [], "forwardedProps": {}}
    told, messages = b"", list[Any]()
    for number, server in enumerate((two.here, two.there, two.here)):
        messages.append({"id": str(number), "role": "user", "content": f"question {number}"})
        status, live = await two.send(
            server, "POST", "/v1/ag-ui/solo", {**asked, "runId": f"r{number}", "messages": messages}
        )
        assert status == 200, live
        told += live
    assert await two.same("/v1/ag-ui/solo/page") == told


async def _ai_sdk(two: Two) -> None:
    said = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "wait"}]}
    asked = {"id": "talk", "trigger": "submit-message", "messages": [said]}
    path = "/v1/ai-sdk/solo"
    async with two.session.post(f"{two.here.url}{path}", json=asked) as live:
        await live.content.readuntil(b'"text-delta"')
        async with two.session.get(f"{two.there.url}{path}/talk/stream") as resumed:
            assert resumed.status == 200
            await resumed.content.readuntil(b'"text-delta"')
            stopped = await two.json(two.there, "POST", f"{path}/talk/stop")
            assert stopped["reason"] == "cancelled"
            assert b'"abort"' in await resumed.read()
        assert b'"abort"' in await live.read()
    for server in (two.here, two.there):
        assert (await two.send(server, "GET", f"{path}/talk/stream"))[0] == 204


async def _a2a(two: Two) -> None:
    sent = await two.json(two.here, "POST", "/a2a/solo/message:send", _message("hi"), **A2A)
    task = sent["task"]
    assert json.loads(await two.same(f"/a2a/solo/tasks/{task['id']}", **A2A))["status"] == task["status"]
    assert task["id"].encode() in await two.same("/a2a/solo/tasks", **A2A)
    called = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": task["id"]}}
    by_rpc = [await two.json(server, "POST", "/a2a/solo", called, **A2A) for server in (two.here, two.there)]
    assert by_rpc[0] == by_rpc[1]

    async with two.session.post(
        f"{two.here.url}/a2a/solo/message:stream", json=_message("wait", "m2"), headers=A2A
    ) as live:
        first = await live.content.readuntil(b"\n\n")
        task_id = json.loads(first.partition(b"data: ")[2])["task"]["id"]
        watchers = [
            asyncio.create_task(two.send(two.there, method, f"/a2a/solo/tasks/{task_id}:subscribe", body, **A2A))
            for method, body in (("GET", None), ("POST", {}))
        ]
        await wait_for(lambda: two.here.state.registry.viewers == 2, "those there, beside the one here")
        cancelled = await two.json(two.there, "POST", f"/a2a/solo/tasks/{task_id}:cancel", {}, **A2A)
        assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
        for status, stream in await asyncio.gather(*watchers):
            assert status == 200
            assert b"TASK_STATE_CANCELED" in stream
        assert b"TASK_STATE_CANCELED" in await live.read()


async def _a2a_what_is_refused(two: Two) -> None:
    path = "/a2a/solo/tasks/task-1/pushNotificationConfigs"
    for method, each in (
        ("POST", path),
        ("GET", path),
        ("GET", f"{path}/1"),
        ("DELETE", f"{path}/1"),
        ("GET", "/a2a/solo/extendedAgentCard"),
    ):
        answers = [await two.send(server, method, each, **A2A) for server in (two.here, two.there)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 400


async def _a2a_replies(two: Two) -> None:
    """A task that asks for something goes on wherever the answer is sent."""
    path, task = "/a2a/until-approved", None
    for number, (server, text) in enumerate(((two.here, "Write."), (two.there, "Better."), (two.here, "APPROVE"))):
        message = _message(text, f"r{number}")
        if task is not None:
            assert task["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
            message["message"]["taskId"] = task["id"]
        task = (await two.json(server, "POST", f"{path}/message:send", message, **A2A))["task"]
    assert task is not None
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert json.loads(await two.same(f"{path}/tasks/{task['id']}", **A2A))["id"] == task["id"]


async def _client_tools(two: Two) -> None:
    """What the client's tool has found is sent elsewhere."""
    asked: dict[str, Any] = {
        "model": "caller",
        "messages": [{"role": "user", "content": "use the tool"}],
        "tools": [WEATHER],
    }
    answer = (await two.json(two.here, "POST", "/v1/chat/completions", asked))["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    asked["messages"] += [answer["message"], {**RAIN, "tool_call_id": answer["message"]["tool_calls"][0]["id"]}]
    answer = (await two.json(two.there, "POST", "/v1/chat/completions", asked))["choices"][0]
    assert answer["finish_reason"] == "stop"
    assert "rain" in _told(two)


async def _mcp(two: Two) -> None:
    """A session that one server has given is used, and its call cancelled, at another."""
    version = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    begun = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": version}
    async with two.session.post(f"{two.here.url}/mcp", json=begun) as response:
        session = {"Mcp-Session-Id": response.headers["Mcp-Session-Id"]}
    listed = [
        await two.json(server, "POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, **session)
        for server in (two.here, two.there)
    ]
    assert listed[0] == listed[1]
    asked = {"name": "solo", "arguments": {"question": "hi"}}
    called = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": asked}
    assert "two" in str(await two.json(two.there, "POST", "/mcp", called, **session))
    asked["arguments"] = {"question": "wait"}
    waiting = asyncio.create_task(two.json(two.here, "POST", "/mcp", called | {"id": 3}, **session))
    await two.until_live(two.here)
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}}

    async def is_cancelled() -> bool:
        assert (await two.send(two.there, "POST", "/mcp", note, **session))[0] == 202
        return waiting.done()

    await wait_for(is_cancelled, "the call to be cancelled")  # it may not be written yet
    assert "cancelled" in str(await waiting)


def _message(text: str, name: str = "m1") -> dict[str, Any]:
    return {"message": {"messageId": name, "role": "ROLE_USER", "parts": [{"text": text}]}}


def _told(two: Two) -> list[str]:
    """What the model was told last."""
    return [message["content"] for message in two.provider.exchanges[-1].body["messages"]]


Case: TypeAlias = Callable[[Two], Coroutine[Any, Any, None]]

CASES: Final[tuple[Case, ...]] = (
    _lists_and_cards,
    _cancelled,
    _chat_goes_on,
    _files,
    _responses,
    _ag_ui,
    _ai_sdk,
    _a2a,
    _a2a_replies,
    _a2a_what_is_refused,
    _client_tools,
    _mcp,
)


async def test_every_route_answers_at_any_server(tmp_path: Path, shared_redis: RedisServer, redis_prefix: str) -> None:
    async with two_servers(shared_redis, redis_prefix, tmp_path) as two:
        for case in CASES:
            await case(two)
            await until_idle(two.here)
            await until_idle(two.there)
        reached = {
            (method, route.removeprefix("/api"))
            for begun, *asked in two.reached.of("request")
            if begun == "begun"
            for method, route in [asked]
        }
        routes = {
            (route.method, route.resource.canonical)
            for route in two.there.runner.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    missing = {
        (method, path)
        for method, path in routes - reached
        if path not in OF_ONE_PROCESS and not re.match("/api/|/openai/|/v1//|/runs/$", path)
    }
    assert not missing
