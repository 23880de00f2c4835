"""Tasks of A2A and calls of MCP where several processes share runs: any of them shows, continues and cancels them."""

import asyncio
from pathlib import Path

import pytest

from aiostream_server.web.traffic import TRAFFIC
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, ScriptedAnswer, Stall
from tests.kit.serving import Server
from tests.kit.waiting import wait_for
from tests.web.calling import Caller, calling
from tests.web.test_a2a import V1, answer_of, message, state_of, task_of
from tests.web.test_mcp import BOTH, asking, result_of, text_of

pytestmark = pytest.mark.needs("redis")


async def test_a_task_is_the_same_everywhere(tmp_path: Path, shared_redis: RedisServer, redis_prefix: str) -> None:
    gate = Gate()
    answers = ScriptedAnswer("one ", gate, "two"), ScriptedAnswer("one ", Stall())
    async with (
        cluster(shared_in(shared_redis.url, redis_prefix), tmp_path, *answers) as (first, second),
        calling(f"{first.url}/a2a/solo", **V1) as here,
        calling(f"{second.url}/a2a/solo", **V1) as there,
    ):
        async with here.open("SendStreamingMessage", message("hi")) as seen:
            async for frame in seen.stream():
                if "artifactUpdate" in frame["result"]:
                    break
            task_id = seen.frames[0]["result"]["task"]["id"]

            async def is_seen() -> bool:
                return answer_of(task_of(await there.call("GetTask", {"id": task_id}))) == "one "

            await wait_for(is_seen, "the other process shows the beginning")
            async with there.open("SubscribeToTask", {"id": task_id}) as joined:
                begun = await anext(joined.stream())
                gate.open()
                await joined.read_all()
            await seen.read_all()
        again = await there.call("SendMessage", message("hi"))
        listed = (await there.call("ListTasks", {"includeArtifacts": True})).body["result"]["tasks"]
        sent = {**message("more", 2), "configuration": {"returnImmediately": True}}
        running = task_of(await here.call("SendMessage", sent))
        cancelled = task_of(await there.call("CancelTask", {"id": running["id"]}))
    assert state_of(begun["result"]["task"]) == "WORKING"
    assert joined.frames[-1] == seen.frames[-1]
    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert answer_of(task_of(again)) == "one two"
    assert [answer_of(task) for task in listed] == ["one two"]
    assert state_of(cancelled) == "CANCELED"


SESSION = {"Mcp-Session-Id": "mine"}
ASKED = asking("hi", token="t")


async def cancel_from(caller: Caller, server: Server) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    async with caller.session.post(f"{server.url}/mcp", json=note, headers={**BOTH, **SESSION}) as response:
        assert response.status == 202


async def test_a_notification_to_another_process_cancels_the_call(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    runs = shared_in(shared_redis.url, redis_prefix)
    async with (
        cluster(runs, tmp_path, ScriptedAnswer("one ", Stall())) as (first, second),
        calling(f"{first.url}/mcp", **BOTH) as caller,
        caller.open("tools/call", ASKED, **SESSION) as called,
    ):
        await anext(called.stream())
        await cancel_from(caller, second)
        await called.read_all()
    assert result_of(called)["isError"]
    assert "The call was cancelled." in text_of(called)


async def test_a_notification_may_come_before_its_call_is_known_there(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """The process that takes the call writes it to Redis a moment later."""
    runs = shared_in(shared_redis.url, redis_prefix)
    async with (
        cluster(runs, tmp_path, ScriptedAnswer("one ", Stall())) as (first, second),
        calling(f"{first.url}/mcp", **BOTH) as caller,
    ):
        cancelling = asyncio.create_task(cancel_from(caller, second))
        await wait_for(lambda: bool(second.runner.app[TRAFFIC].requests), "the notification has arrived")
        async with caller.open("tools/call", ASKED, **SESSION) as called:
            await called.read_all()
        await cancelling
    assert "The call was cancelled." in text_of(called)
