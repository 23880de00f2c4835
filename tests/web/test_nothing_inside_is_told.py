"""No way to read a run's failure tells a user of hosts, connection strings, paths or a provider's words about keys."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage
from autogen_core.tools import FunctionTool

from aiostream_server.config.model import TeamConfig
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import Call, HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import chat_body, config_for, serving
from tests.kit.waiting import wait_for

INSIDE = "could not connect to postgresql://me:canary-pw@canary-db.internal:5432/x at 10.9.8.7 (/srv/canary/key.pem)"
CANARIES = ("canary", "10.9.8.7", "5432", "/srv/")
REFUSAL = {"error": {"message": "Incorrect API key provided: sk-canary-0123456789 of canary-organisation at 10.9.8.7"}}


class Failing:
    async def run_stream(self, *, task: Any) -> AsyncIterator[Any]:
        yield TextMessage(content="hm", source="A")
        raise ConnectionError(INSIDE)


def failing(_: TeamContext) -> Any:
    return Failing()


def with_a_tool(context: TeamContext) -> Any:
    def act() -> str:
        raise ConnectionError(INSIDE)

    return AssistantAgent(
        "A", context.model(), tools=[FunctionTool(act, description="Acts.")], reflect_on_tool_use=True
    )


TEAMS = {
    "failing": f"{__name__}:failing",
    "tool": f"{__name__}:with_a_tool",
    "refused": "tests.kit.sample_teams:solo",
}


def script(provider: ScriptedProvider, team: str) -> None:
    if team == "refused":
        provider.script(HttpError(401, REFUSAL))
    elif team == "tool":
        provider.script(ScriptedAnswer(Call("act")), ScriptedAnswer("It failed."))


@pytest.mark.parametrize("team", TEAMS)
async def test_no_way_to_read_a_failure_tells_what_is_inside(team: str, tmp_path: Path) -> None:
    teams = [TeamConfig(id=name, factory=factory) for name, factory in TEAMS.items()]
    async with ScriptedProvider() as provider, serving(config_for(provider.base_url, *teams), tmp_path) as server:
        told: list[str] = []
        async with aiohttp.ClientSession(server.url) as session:
            for presentation in ("transcript", "reasoning", "answer"):
                for stream in (True, False):
                    script(provider, team)
                    body = {**chat_body("hi", model=team), "stream": stream}
                    headers = {"X-Presentation": presentation}
                    async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
                        told += [await response.text(), json.dumps(dict(response.headers))]
            script(provider, team)
            async with session.post("/v1/runs", json={**chat_body("hi", model=team), "background": True}) as response:
                run = await response.json()
            await wait_for(lambda: not len(server.state.registry), "the end of the run")
            for path in (f"/v1/runs/{run['id']}", f"/v1/runs/{run['id']}/events", "/v1/runs"):
                async with session.get(path) as response:
                    told.append(await response.text())
        everything = "\n".join(told)
        assert ("ConnectionError" in everything) == (team == "failing")
        assert "failed" in everything or "answered 401 Unauthorized" in everything
        assert [canary for canary in CANARIES if canary in everything] == []
