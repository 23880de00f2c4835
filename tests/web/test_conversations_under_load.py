"""No turn of a conversation is lost on a server that is busy with teams that use tools."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kit.scripted_provider import Call, Reply, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, sample_team, serving

CONVERSATIONS, TURNS, TOOL_CLIENTS = 24, 3, 8


def _model(body: Mapping[str, Any]) -> Reply:
    """Says how many messages of the user it was told; calls a tool first where there is one."""
    if "tools" in body and body["messages"][-1]["role"] != "tool":
        return ScriptedAnswer(Call(body["tools"][0]["function"]["name"]))
    return ScriptedAnswer(str(sum(message["role"] == "user" for message in body["messages"])))


async def test_every_turn_is_remembered_beside_tools_on_a_busy_loop(tmp_path: Path) -> None:
    async def block() -> None:
        while True:
            time.sleep(0.01)  # noqa: ASYNC251 - each turn of the event loop takes that long
            await asyncio.sleep(0)

    async def converse(number: int) -> list[str]:
        headers = {"X-Conversation-Id": f"talk-{number}"}
        return [
            (await ask(server.url, f"question {turn}", model="solo", headers=headers)).text.split()[-1]
            for turn in range(TURNS)
        ]

    async def use_tools() -> None:
        for _ in itertools.count():
            await ask(server.url, "use it", model="with-tool")

    teams = sample_team("solo"), sample_team("with_tool")
    async with ScriptedProvider() as provider:
        provider.script(_model)
        async with serving(config_for(provider.base_url, *teams), tmp_path) as server:
            beside = [asyncio.create_task(use_tools()) for _ in range(TOOL_CLIENTS)]
            blocking = asyncio.create_task(block())
            answers = await asyncio.gather(*map(converse, range(CONVERSATIONS)))
            for task in (*beside, blocking):
                task.cancel()
            await asyncio.wait(beside)
    assert answers == [[str(turn + 1) for turn in range(TURNS)]] * CONVERSATIONS
