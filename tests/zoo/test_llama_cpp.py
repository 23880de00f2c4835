"""A team of two with a tool over two turns, with real weights on llama.cpp: in a process of ours, and as a provider.

What so small a model says cannot be foretold. That nothing is refused, and that the conversation takes its course, can.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config
from aiostream_server.models.llama_cpp.process import LlamaProcess
from aiostream_server.teams.context import TeamContext
from tests.kit.serving import ask, serving
from tests.models.smollm2 import NEEDS_MODEL, WEIGHTS, smollm2

pytestmark = NEEDS_MODEL

TEAM: Final = '\n[[teams]]\nid = "pair"\nfactory = "tests.zoo.test_llama_cpp:pair"\n'
NO_ANSWER: Final = 'logit_bias = [["answer", false], ["an", false], ["a", false]]'
"""In a reply that is held to `{"tool": ...}` or `{"answer": ...}`: it cannot begin to write the latter."""
EMBEDDED: Final = f"""
provider = "llama.cpp"
path = "{WEIGHTS}"
context_tokens = 2048
threads = 1
tools = "grammar"
"""


def tables(both: str, *, calling: str = "") -> str:
    """`[models.tools]` is the model of the agent that has one."""
    long, brief = (f"{both}options = {{ temperature = 0, max_tokens = {most} }}\n" for most in (40, 12))
    return f"[models.default]\n{brief}[models.tools]\n{long.replace(' }', f'{calling} }}')}{TEAM}"


async def weather(day: Literal["today", "tomorrow"]) -> str:
    """The weather of a day."""
    return f"The weather of {day}: sunny."


def pair(context: TeamContext) -> RoundRobinGroupChat:
    """Clerk has a tool; Writer has none, and reads what came of it."""
    clerk = AssistantAgent("Clerk", context.model("tools"), system_message="Look the weather up.", tools=[weather])
    writer = AssistantAgent("Writer", context.model(), system_message="Say in one sentence what Clerk found out.")
    return RoundRobinGroupChat([clerk, writer], max_turns=2)


@asynccontextmanager
async def configured(provider: str, folder: Path) -> AsyncIterator[Config]:
    """With the shipped template llama.cpp shows the model no tools, so only an embedded one can be made to call one."""
    path = folder / "server.toml"
    if provider == "embedded":
        path.write_text(tables(EMBEDDED, calling=f", {NO_ANSWER}"), "utf-8")
        yield load_config(path, {})
        return
    process = await LlamaProcess.start(smollm2(context_tokens=2048))
    try:
        table = f'provider = "openai"\nmodel = "smollm2"\nbase_url = "{process.url}/v1"\napi_key_env = "LLAMA_KEY"\n'
        path.write_text(tables(table), "utf-8")
        yield load_config(path, {"LLAMA_KEY": process.api_key.get_secret_value()})
    finally:
        await process.stop()


@pytest.mark.parametrize("provider", ["embedded", "served"])
async def test_a_team_of_two_with_a_tool_takes_two_turns(tmp_path: Path, provider: str) -> None:
    async with configured(provider, tmp_path) as config, serving(config, tmp_path) as server:
        for question in ("How is the weather today?", "And tomorrow?"):
            answer = await ask(server.url, question, model="pair", headers={"X-Conversation-Id": "two"})
            assert (answer.errors, answer.done) == ([], True)
            assert answer.finish_reasons in (["stop"], ["length"])
            events = await _events(server.url, answer.run_id)
            assert {event["agent"] for event in events if event.get("agent")} >= {"Clerk", "Writer"}
            calls = [event["call_id"] for event in events if event["type"] == "action"]
            assert calls == [event["call_id"] for event in events if event["type"] == "tool_result"]
            assert calls or provider == "served"


async def _events(url: str, run_id: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/runs/{run_id}/events") as response:
        lines = (await response.text()).splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
