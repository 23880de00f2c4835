"""OpenAI's Codex CLI, which speaks Responses only, with a team as its model: it asks, and runs its own tools for it."""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.model import TeamConfig
from tests.kit.needs import CLIENTS, require
from tests.kit.scripted_provider import Call, Reply, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import config_for, sample_team, serving
from tests.kit.waiting import DEADLINE_S

_CONFIG = """
model_provider = "aiostream"
[model_providers.aiostream]
name = "aiostream"
base_url = "{url}/v1"
wire_api = "responses"
"""


def reply(body: Mapping[str, Any]) -> Reply:
    asked = json.dumps(body["messages"])
    has_result = body["messages"][-1]["role"] == "tool"
    if "<weather>" in asked:
        return ScriptedAnswer("Rain.") if has_result else ScriptedAnswer(Call("weather", {"city": "Rome"}))
    if "<file>" in asked:
        call = Call("exec_command", {"cmd": "echo from a team > made.txt"})
        return ScriptedAnswer("It is there.") if has_result else ScriptedAnswer(call)
    return ScriptedAnswer("Hel", "lo.")


async def ask(question: str, model: str, folder: Path) -> tuple[list[dict[str, Any]], int]:
    """What Codex tells, and how often the team's model was asked."""
    require("clients")
    home, work = folder / "home", folder / "work"
    for each in (home, work):
        each.mkdir()
    teams = (
        sample_team("with_tool"),
        TeamConfig(id="helper", factory="tests.kit.sample_teams:solo", client_tools=True),
    )
    async with ScriptedProvider() as provider:
        provider.script(reply)
        async with serving(config_for(provider.base_url, *teams), folder) as server:
            (home / "config.toml").write_text(_CONFIG.format(url=server.url), "utf-8")
            process = await asyncio.create_subprocess_exec(
                str(CLIENTS / "codex" / "node_modules" / ".bin" / "codex"),
                *(
                    "exec",
                    "--json",
                    "--skip-git-repo-check",
                    "--sandbox",
                    "danger-full-access",
                    "--model",
                    model,
                    question,
                ),
                cwd=work,
                env={"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "NO_PROXY": "127.0.0.1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                told, _ = await asyncio.wait_for(process.communicate(), 3 * DEADLINE_S)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return [json.loads(line) for line in told.splitlines()], len(provider.exchanges)


def said(told: list[dict[str, Any]]) -> list[str]:
    items = [event["item"] for event in told if event["type"] == "item.completed"]
    return [item["text"].strip() for item in items if item["type"] == "agent_message"]


@pytest.mark.parametrize(
    ("question", "model", "answer", "calls"),
    [("Say hello.", "helper", "Hello.", 1), ("Tell <weather>.", "with-tool", "Rain.", 2)],
)
async def test_it_is_answered_and_runs_no_tool_of_the_team(
    tmp_path: Path, question: str, model: str, answer: str, calls: int
) -> None:
    told, asked = await ask(question, model, tmp_path)
    assert (said(told), asked) == ([answer], calls), told
    assert told[-1]["type"] == "turn.completed"
    assert told[-1]["usage"]["output_tokens"] > 0


async def test_it_runs_its_own_tool_for_a_team(tmp_path: Path) -> None:
    told, asked = await ask("Make <file>.", "helper", tmp_path)
    assert (said(told), asked) == (["It is there."], 2), told
    assert (tmp_path / "work" / "made.txt").read_text("utf-8") == "from a team\n"
