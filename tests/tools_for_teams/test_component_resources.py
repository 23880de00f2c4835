"""MCP workbenches and code executors of teams from component JSON open when needed, and close with the run."""

import asyncio
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import ToolOverride, Workbench
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.replay import ReplayChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, SseServerParams, StdioServerParams, StreamableHttpServerParams
from structlog.testing import capture_logs

from aiostream_server.config.model import TeamConfig
from aiostream_server.errors import ToolFailed
from aiostream_server.runs.supervision import RunCancellation
from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.tools.component_resources import tie_to_run
from aiostream_server.teams.tools.scope import RunScope
from tests.kit.process import is_running, until_gone
from tests.kit.scripted_provider import Call, ScriptedProvider
from tests.kit.serving import ask, asking, config_for, serving, until_idle
from tests.tools_for_teams.servers import HERE, pids, serving_mcp, until
from tests.tools_for_teams.test_runs import calls_once

STARTED: Final[list[McpWorkbench]] = []
HELD: Final[list[RoundRobinGroupChat]] = []


def params(mode: str, pid_file: Path) -> StdioServerParams:
    args = ["-S", "-E", str(HERE / "plain_program.py"), mode, str(pid_file)]
    return StdioServerParams(command=sys.executable, args=args, read_timeout_seconds=30)


def team_of(model: ChatCompletionClient, workbench: McpWorkbench) -> RoundRobinGroupChat:
    """Two agents that share the workbench."""
    agents = [AssistantAgent(name, model, workbench=[workbench]) for name in ("One", "Two")]
    return RoundRobinGroupChat(list(agents), max_turns=2)


def unstarted(context: TeamContext) -> RoundRobinGroupChat:
    mode, pid_file = context.settings["mode"], Path(context.settings["pids"])
    HELD.append(team_of(context.model(), McpWorkbench(params(mode, pid_file))))
    return HELD[-1]


async def started(context: TeamContext) -> RoundRobinGroupChat:
    """A factory that starts its workbench once, for all runs."""
    if not STARTED:
        STARTED.append(McpWorkbench(params(context.settings["mode"], Path(context.settings["pids"]))))
        await STARTED[0].start()
    return team_of(context.model(), STARTED[0])


def team(name: str, mode: str, folder: Path) -> TeamConfig:
    settings = {"mode": mode, "pids": str(folder / "pids")}
    return TeamConfig(id=name, factory=f"tests.tools_for_teams.test_component_resources:{name}", settings=settings)


async def test_an_autogen_workbench_ends_with_the_run(provider: ScriptedProvider, tmp_path: Path) -> None:
    """AutoGen itself keeps its process as long as the team is referenced."""
    provider.script(calls_once(Call("echo", {"text": "hello"}), "done"))
    async with serving(config_for(provider.base_url, team("unstarted", "works", tmp_path)), tmp_path) as server:
        answer = await ask(server.url, "say hello", model="unstarted")
        assert "📦 echo" in answer.text
        (pid,) = pids(tmp_path / "pids")
        await until_gone(pid)
        assert HELD.pop()


@pytest.mark.parametrize("name", ["unstarted", "started"])
async def test_stop_in_the_middle_of_its_call_ends_the_run_at_once(
    provider: ScriptedProvider, tmp_path: Path, name: str
) -> None:
    """AutoGen's token raises AttributeError there, and cancels nothing."""
    provider.script(calls_once(Call("echo", {"text": "hello"})))
    try:
        async with serving(config_for(provider.base_url, team(name, "mute", tmp_path)), tmp_path) as server:
            async with asking(server.url, "say hello", model=name) as answer:
                async for piece in answer.pieces():
                    if "⚡ echo" in piece:
                        break
            await until_idle(server)
            found = pids(tmp_path / "pids")
            assert found
            if name == "unstarted":
                await until_gone(*found)
            else:
                assert all(map(is_running, found)), "its owner may use it for other runs"
    finally:
        for workbench in STARTED:
            await workbench.stop()
        STARTED.clear()


def workbenches_of(agent: object) -> Sequence[Workbench]:
    found: Sequence[Workbench] = vars(agent)["_workbench"]
    return found


async def test_a_workbench_from_json_is_replaced_and_keeps_its_overrides_and_its_model(tmp_path: Path) -> None:
    model = ReplayChatCompletionClient(["hi"])
    overrides = {"echo": ToolOverride(name="repeat", description="Say it twice.")}
    brought = McpWorkbench(params("works", tmp_path / "pids"), overrides, model)
    text = json.dumps(team_of(model, brought).dump_component().model_dump(mode="json"))
    loaded = RoundRobinGroupChat.load_component(json.loads(text))
    scope = RunScope()
    await tie_to_run(loaded, scope)
    (one,), (two,) = (workbenches_of(agent) for agent in loaded._participants)
    assert not isinstance(one, McpWorkbench)
    tools = await one.list_tools()
    assert [(tool["name"], tool["description"]) for tool in tools] == [("repeat", "Say it twice."), ("list_files", "")]
    assert '"name": "echo"' in (await one.call_tool("repeat", {"text": "x"})).to_text()
    assert len(await two.list_tools()) == 2
    await scope.close()
    await until_gone(*pids(tmp_path / "pids"))


async def test_the_reason_of_a_failure_hides_the_variables(tmp_path: Path) -> None:
    brought = params("dies", tmp_path / "pids")
    brought.env = {"TOKEN": "hunter2", "DEBUG": "1"}
    team, scope = team_of(ReplayChatCompletionClient(["hi"]), McpWorkbench(brought)), RunScope()
    await tie_to_run(team, scope)
    (ours,) = workbenches_of(team._participants[0])
    with capture_logs() as logs, pytest.raises(ToolFailed):
        await ours.list_tools()
    await scope.close()
    (reason,) = [log["reason"] for log in logs if log["event"] == "mcp_server_unreachable"]
    assert reason.endswith("it ended with status 1; its last words: cannot read the token ***: no such file")


@pytest.mark.parametrize("kind", [SseServerParams, StreamableHttpServerParams])
async def test_a_workbench_over_http_is_replaced_and_closed(kind: Any) -> None:
    async with serving_mcp("sse" if kind is SseServerParams else "http") as server:
        workbench = McpWorkbench(kind(url=server.url, headers={"X-Team": "sales"}))
        team = team_of(ReplayChatCompletionClient(["hi"]), workbench)
        scope = RunScope()
        await tie_to_run(team, scope)
        (ours,) = workbenches_of(team._participants[0])
        assert (await ours.call_tool("add", {"a": 1, "b": 2})).to_text() == "3"
        await scope.close()
        await until(lambda: server.connections == 0)


async def test_a_code_executor_is_started_and_stopped() -> None:
    with warnings.catch_warnings(action="ignore"):
        executor = LocalCommandLineCodeExecutor()
        agent = CodeExecutorAgent("Coder", executor)
    scope = RunScope()
    await tie_to_run(RoundRobinGroupChat([agent], max_turns=1), scope)
    folder = executor.work_dir
    assert folder.is_dir()
    await scope.close()
    assert not folder.exists()


async def test_the_token_of_a_run_accepts_a_coroutine() -> None:
    token, linked = RunCancellation(), asyncio.get_running_loop().create_future()

    async def coroutine() -> None:
        """AutoGen's `McpWorkbench` links a coroutine instead of a future."""

    unstarted = coroutine()
    token.link_future(unstarted)  # type: ignore[arg-type]  # as McpWorkbench does
    token.link_future(linked)
    token.cancel()
    assert linked.cancelled()
    unstarted.close()
