"""Teams as MCP tools, over a real socket, in both eras of the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import LimitsConfig, ServerConfig
from tests.kit.scripted_provider import HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving
from tests.kit.waiting import wait_for
from tests.web.calling import Answered, Caller, calling
from tests.web.test_keys import keyed

BOTH = {"Accept": "application/json, text/event-stream"}
VERSION = "2026-07-28"


@asynccontextmanager
async def served(
    folder: Path, *replies: Any, team: str = "solo", **sections: Any
) -> AsyncIterator[tuple[Caller, Server]]:
    async with ScriptedProvider() as provider:
        provider.script(*replies)
        config = config_for(provider.base_url, sample_team(team), **sections)
        async with serving(config, folder) as server, calling(f"{server.url}/mcp", **BOTH) as caller:
            yield caller, server


def asking(question: str, tool: str = "solo", token: Any = None, **arguments: Any) -> dict[str, Any]:
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    return {"name": tool, "arguments": {"question": question, **arguments}, **meta}


def result_of(answered: Answered) -> dict[str, Any]:
    body = answered.frames[-1] if answered.frames else answered.body
    assert "result" in body, body
    result: dict[str, Any] = body["result"]
    return result


def text_of(answered: Answered) -> str:
    return str(result_of(answered)["content"][0]["text"])


async def modern(caller: Caller, method: str, params: dict[str, Any], **headers: str) -> Answered:
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        **params.get("_meta", {}),
    }
    named = {"Mcp_Name": params["name"]} if "name" in params else {}
    sent = {"MCP_Protocol_Version": VERSION, "Mcp_Method": method, **named, **headers}
    return await caller.call(method, {**params, "_meta": meta}, **sent)


async def test_a_session_lists_the_teams_and_calls_one(tmp_path: Path) -> None:
    async with served(tmp_path, ScriptedAnswer("Hel", "lo.")) as (caller, _):
        begun = await caller.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}})
        session = {"Mcp_Session_Id": begun.response.headers["Mcp-Session-Id"]}
        tools = (await caller.call("tools/list", **session)).body["result"]["tools"]
        pinged = await caller.call("ping", **session)
        called = await caller.call("tools/call", asking("hi", token=7), **session)
    assert begun.body["result"]["protocolVersion"] == "2025-06-18"
    assert [(tool["name"], tool["inputSchema"]["required"]) for tool in tools] == [("solo", ["question"])]
    assert pinged.body["result"] == {}
    assert called.response.content_type == "text/event-stream"
    assert text_of(called) == "Hello."
    assert [frame["params"]["progress"] for frame in called.frames[:-1]] == [*range(1, len(called.frames))]
    assert len(called.frames) > 1
    assert called.response.headers["X-Run-Id"].startswith("run-")


async def test_a_request_of_the_newest_version_needs_no_session(tmp_path: Path) -> None:
    async with served(tmp_path, ScriptedAnswer("Hello.")) as (caller, _):
        found = await modern(caller, "server/discover", {})
        listed = await modern(caller, "tools/list", {})
        called = await modern(caller, "tools/call", asking("hi"))
        unknown = await modern(caller, "prompts/list", {})
        begun = await modern(caller, "initialize", {})
        wrong = await modern(caller, "tools/call", asking("hi"), Mcp_Name="other")
    assert VERSION in found.body["result"]["supportedVersions"]
    assert {each["cacheScope"] for each in (found.body["result"], listed.body["result"])} == {"private"}
    assert (text_of(called), result_of(called)["resultType"]) == ("Hello.", "complete")
    assert unknown.error[:2] == begun.error[:2] == (404, -32601)
    assert wrong.error[:2] == (400, -32020)


async def test_a_client_that_takes_only_json_gets_it(tmp_path: Path) -> None:
    async with served(tmp_path, ScriptedAnswer("Hello.")) as (caller, _):
        called = await caller.call("tools/call", asking("hi"), Accept="application/json")
    assert called.response.content_type == "application/json"
    assert text_of(called) == "Hello."


async def test_a_conversation_goes_on_by_its_name(tmp_path: Path) -> None:
    async with served(tmp_path, ScriptedAnswer("A draft."), ScriptedAnswer("Not called"), team="until_approved") as (
        caller,
        _,
    ):
        asked = result_of(await caller.call("tools/call", asking("Write.", "until-approved")))
        name = asked["structuredContent"]["conversation"]
        done = result_of(await caller.call("tools/call", asking("APPROVE", "until-approved", conversation=name)))
    assert asked["structuredContent"]["waits_for_reply"]
    assert name in asked["content"][1]["text"]
    assert not done["structuredContent"]["waits_for_reply"]
    assert done["structuredContent"]["conversation"] == name


def eliciting(*answers: dict[str, Any], state: str = "") -> dict[str, Any]:
    capabilities: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
    replied = {"inputResponses": {"reply": answers[0]}, "requestState": state} if answers else {}
    return {**asking("Write.", "until-approved"), **replied, "_meta": capabilities}


async def test_a_question_is_put_to_the_user_of_a_client_that_can(tmp_path: Path) -> None:
    """The call is repeated with the reply, as often as the team asks, and keeps its conversation."""
    drafts = ScriptedAnswer("A draft."), ScriptedAnswer("A better draft.")
    async with served(tmp_path, *drafts, team="until_approved") as (caller, _):
        asked = result_of(await modern(caller, "tools/call", eliciting()))
        state = asked["requestState"]

        async def reply(text: str) -> dict[str, Any]:
            accepted = {"action": "accept", "content": {"reply": text}}
            return result_of(await modern(caller, "tools/call", eliciting(accepted, state=state)))

        declined = result_of(await modern(caller, "tools/call", eliciting({"action": "decline"}, state=state)))
        wrong = result_of(await modern(caller, "tools/call", eliciting({"action": "accept"}, state=state)))
        again, done = await reply("Better, please."), await reply("APPROVE")
    assert (asked["resultType"], again["resultType"], done["resultType"]) == (
        "input_required",
        "input_required",
        "complete",
    )
    assert again["requestState"] == state == done["structuredContent"]["conversation"]
    for result, draft in ((asked, "A draft."), (again, "A better draft.")):
        request = result["inputRequests"]["reply"]
        assert request["method"] == "elicitation/create"
        assert draft in request["params"]["message"]
        assert request["params"]["requestedSchema"]["required"] == ["reply"]
    assert declined["isError"]
    assert "inputResponses" in wrong["content"][0]["text"]


async def test_a_call_ends_with_its_stream(tmp_path: Path) -> None:
    async with served(tmp_path, ScriptedAnswer("one ", Stall())) as (caller, server):
        async with caller.open("tools/call", asking("hi", token="t")) as called:
            await anext(called.stream())
            assert len(server.state.registry) == 1
        await wait_for(lambda: not len(server.state.registry), "the run has ended")


async def test_a_server_that_stops_says_so_in_the_result(tmp_path: Path) -> None:
    async with (
        served(tmp_path, ScriptedAnswer("one ", Stall())) as (caller, server),
        caller.open("tools/call", asking("hi", token="t")) as called,
    ):
        await anext(called.stream())
        closing = asyncio.create_task(server.runner.cleanup())
        await called.read_all()
        await closing
    assert result_of(called)["isError"]
    assert text_of(called).endswith("the server is shutting down; ask again in a moment")


async def test_a_notification_of_the_session_cancels_its_call_and_no_other(tmp_path: Path) -> None:
    async with served(tmp_path, ScriptedAnswer("one ", Stall())) as (caller, server):
        mine, other = {"Mcp-Session-Id": "mine"}, {"Mcp-Session-Id": "other"}
        async with caller.open("tools/call", asking("hi", token="t"), **mine) as called:
            await anext(called.stream())
            for session, request_id in ((other, 1), (mine, 2), ({}, 1), (mine, 1)):
                assert len(server.state.registry) == 1
                note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}
                async with caller.session.post(caller.url, json=note, headers={**BOTH, **session}) as response:
                    assert (response.status, await response.read()) == (202, b"")
            await called.read_all()
    assert result_of(called)["isError"]
    assert "The call was cancelled." in text_of(called)


async def test_what_a_model_can_mend_is_a_result_and_what_it_cannot_an_error(tmp_path: Path) -> None:
    limits = LimitsConfig(max_runs=1, queue_size=0)
    broken = HttpError(401, {"error": {"message": "wrong key"}})
    async with served(tmp_path, broken, ScriptedAnswer(Stall()), limits=limits) as (caller, server):
        failed = await caller.call("tools/call", asking("hi"))
        empty = await caller.call("tools/call", asking(" "))
        unknown = await caller.call("tools/call", asking("hi", "nobody"))
        method = await caller.call("resources/list")
        async with caller.open("tools/call", asking("go", token=1)) as called:
            await anext(called.stream())
            full = await caller.call("tools/call", asking("more"))
        await wait_for(lambda: not len(server.state.registry), "the run has ended")
        version = await caller.call("tools/list", MCP_Protocol_Version="1999-01-01")
    assert result_of(failed)["isError"]
    assert (text_of(empty), result_of(empty)["isError"]) == ("question: must not be empty", True)
    assert result_of(full)["isError"]
    assert full.response.status == 200
    assert unknown.error[1] == -32602
    assert method.error[:2] == (200, -32601)
    assert version.error[:2] == (400, -32022)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("https://app.example", 200),
        ("vscode-file://vscode-app", 200),
        (None, 200),
    ],
)
async def test_pages_of_other_origins_are_kept_out(tmp_path: Path, origin: str | None, status: int) -> None:
    server_config = ServerConfig(cors_origins=("https://app.example",))
    async with served(tmp_path, server=server_config) as (caller, server):
        answered = await caller.call("tools/list", **({} if origin is None else {"Origin": origin}))
        own = await caller.call("tools/list", Origin=server.url)
    assert answered.response.status == status
    assert own.response.status == 200


async def test_there_is_no_stream_to_get_and_no_session_to_delete(tmp_path: Path) -> None:
    async with served(tmp_path) as (caller, _):
        for method in ("GET", "DELETE"):
            async with caller.session.request(method, caller.url) as response:
                assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_a_key_sees_its_teams_and_without_one_there_is_nothing(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None, general=["general"], auto=["auto"]) as (server, keys):
        url = f"{server.url}/mcp"

        async def tools(**headers: str) -> Answered:
            async with calling(url, **BOTH, **headers) as caller:
                return await caller.call("tools/list")

        refused = await tools()
        names = {
            name: [tool["name"] for tool in (await tools(X_API_Key=key)).body["result"]["tools"]]
            for name, key in keys.items()
        }
        async with calling(url, **BOTH, X_API_Key=keys["general"]) as caller:
            hidden = await caller.call("tools/call", asking("hi", "data"))
    assert refused.error[0] == 401
    assert names == {"all": ["general", "data"], "general": ["general"], "auto": ["auto"]}
    assert hidden.error[1] == -32602


async def test_several_calls_at_once_are_answered_each_with_its_own(tmp_path: Path) -> None:
    async with (
        served(tmp_path, *(ScriptedAnswer("same") for _ in range(3))) as (caller, _),
        aiohttp.ClientSession() as session,
    ):
        bodies = [
            {"jsonrpc": "2.0", "id": f"n{n}", "method": "tools/call", "params": asking(f"hi {n}")} for n in range(3)
        ]

        async def ids(body: dict[str, Any]) -> str:
            async with session.post(caller.url, json=body, headers=BOTH) as response:
                lines = (await response.text()).splitlines()
            return str(json.loads(lines[-2].removeprefix("data: "))["id"])

        assert await asyncio.gather(*map(ids, bodies)) == ["n0", "n1", "n2"]
