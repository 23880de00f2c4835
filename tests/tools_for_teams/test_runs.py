"""Runs that use MCP servers: what is shown, and that nothing remains, however a run ends."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from structlog.testing import capture_logs

from aiostream_server.config.model import Config, McpToolConfig, TeamConfig
from aiostream_server.intake.keys import KeyRing
from aiostream_server.service.composition import GENERATIONS
from tests.kit.process import is_running, until_gone
from tests.kit.scripted_provider import Call, HttpError, Reply, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, ask, asking, config_for, serving, until_idle
from tests.tools_for_teams import teams
from tests.tools_for_teams.plain_program import PICTURE
from tests.tools_for_teams.servers import pids, plain, program, serving_mcp, until

ECHO: Final = Call("echo", {"text": "hello"})


def team(name: str = "helper", /, **settings: Any) -> TeamConfig:
    return TeamConfig(id=name, factory=f"tests.tools_for_teams.teams:{name}", **{"tools": ("files",), **settings})


def config(provider: ScriptedProvider, tool: McpToolConfig, *others: TeamConfig, **sections: Any) -> Config:
    return config_for(provider.base_url, team(), *others, tools={"files": tool}, **sections)


def calls_once(call: Call, answer: str = "done") -> Any:  # a scripted reply
    def reply(body: Mapping[str, Any]) -> Reply:
        has_called = any(message["role"] == "tool" for message in body["messages"])
        return ScriptedAnswer(answer) if has_called else ScriptedAnswer(call)

    return reply


async def test_call_and_result_are_shown_and_one_process_for_each_run_ends_with_it(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(calls_once(ECHO))
    tool = plain("works", tmp_path / "pids", scope="run")
    async with serving(config(provider, tool), tmp_path) as server:
        for _ in range(2):
            answer = await ask(server.url, "say hello", model="helper")
            assert "⚡ echo" in answer.text
            assert "📦 echo" in answer.text
            assert '{"name": "echo", "arguments": {"text": "hello"}}' in answer.text
            assert answer.text.rstrip().endswith("done")
        offered = provider.exchanges[0].body["tools"]
        assert [function["function"]["name"] for function in offered] == ["echo", "list_files"]
        found = pids(tmp_path / "pids")
        assert len(found) == 2
        await until_gone(*found)


async def test_a_picture_is_kept_as_a_file_and_shown_and_no_model_sees_its_bytes(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(calls_once(Call("echo", {"text": "picture"}), "there it is"))
    async with serving(config(provider, plain("works", tmp_path / "pids")), tmp_path) as server:
        answer = await ask(server.url, "draw", model="helper")
        (link,) = set(re.findall(r"!\[Picture\]\((http[^)]+)\)", answer.text.partition("there it is")[2]))
        async with aiohttp.ClientSession() as session, session.get(link) as response:
            assert response.content_type == "image/png"
            assert (await response.read()).startswith(b"\x89PNG")
    assert PICTURE not in json.dumps([exchange.body for exchange in provider.exchanges])


async def test_the_process_of_a_run_that_fails_ends_with_it(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(ECHO), HttpError(400))
    tool = plain("works", tmp_path / "pids", scope="run")
    async with serving(config(provider, tool), tmp_path) as server:
        assert (await ask(server.url, "say hello", model="helper")).errors
        (pid,) = pids(tmp_path / "pids")
        await until_gone(pid)


async def test_stop_ends_a_run_whose_server_never_answers_and_then_its_processes(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(calls_once(ECHO))
    tool = plain("ignores", tmp_path / "pids", scope="run")
    async with serving(config(provider, tool), tmp_path) as server:
        await _ask_until_the_call(server)
        await until_idle(server)
        found = pids(tmp_path / "pids")
        assert len(found) == 2
        await until_gone(*found)


async def test_shutdown_in_the_middle_of_a_call_leaves_no_process(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(calls_once(ECHO))
    tool = plain("ignores", tmp_path / "pids", scope="run")
    goes_on = config_for(provider.base_url, team(on_disconnect="continue"), tools={"files": tool})
    async with serving(goes_on, tmp_path) as server:
        await _ask_until_the_call(server)
        found = pids(tmp_path / "pids")
        assert all(map(is_running, found))
    assert not any(map(is_running, found))


async def _ask_until_the_call(server: Server) -> None:
    """Ask, and disconnect when the call is shown."""
    async with asking(server.url, "say hello", model="helper") as answer:
        async for piece in answer.pieces():
            if "⚡ echo" in piece:
                return


async def test_twenty_runs_share_one_process_and_one_service(provider: ScriptedProvider, tmp_path: Path) -> None:
    def reply(body: Mapping[str, Any]) -> Reply:
        said = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return (
            ScriptedAnswer(said[0])
            if said
            else ScriptedAnswer(Call("add", {"a": int(body["messages"][-1]["content"]), "b": 1}))
        )

    provider.script(reply)
    async with serving_mcp("http") as service:
        remote = McpToolConfig(kind="mcp", url=service.url)
        both = config_for(
            provider.base_url,
            team(),
            TeamConfig(id="remote", factory="tests.tools_for_teams.teams:helper", tools=("remote",)),
            tools={"files": program(), "remote": remote},
        )
        async with serving(both, tmp_path) as server:
            answers = await asyncio.gather(
                *(
                    ask(server.url, str(n), model=("helper", "remote")[n % 2], headers={"X-Presentation": "answer"})
                    for n in range(20)
                )
            )
            assert [answer.text.strip() for answer in answers] == [str(number + 1) for number in range(20)]
            assert service.connections > 0
        await until(lambda: service.connections == 0)


async def test_a_broken_server_is_one_clear_error_for_its_team_and_none_for_the_others(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(ScriptedAnswer("I need no tools"))
    tool = plain("dies", tmp_path / "pids")
    with capture_logs() as logs:
        async with serving(config(provider, tool, team("opener", tools=())), tmp_path) as server:
            answer = await ask(server.url, "say hello", model="helper")
            (error,) = answer.errors
            assert error["code"] == "tool_failed"
            assert error["message"] == (
                'the tool "files" is not available: its MCP server cannot be used. The operator of this server '
                "finds the reason in its log (mcp_server_unreachable), and the settings in [tools.files]"
            )
            assert (await ask(server.url, "hello", model="opener")).text.endswith("I need no tools")
    assert len(pids(tmp_path / "pids")) == 1
    assert [log["tool"] for log in logs if log["event"] == "mcp_server_unreachable"] == ["files"]


async def test_a_server_that_ends_in_the_middle_of_a_call_is_a_result_that_the_model_sees(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(calls_once(ECHO, "it crashed"))
    with capture_logs():
        async with serving(config(provider, plain("crashes", tmp_path / "pids")), tmp_path) as server:
            answer = await ask(server.url, "say hello", model="helper")
    assert not answer.errors
    assert "📦 echo failed" in answer.text
    assert answer.text.rstrip().endswith("it crashed")


async def test_an_old_configuration_keeps_its_servers_until_its_last_run_has_ended(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(ScriptedAnswer("one", Stall()), ScriptedAnswer("two"))
    old = config(provider, plain("works", tmp_path / "pids"))
    async with serving(old, tmp_path) as server:
        await until(lambda: len(pids(tmp_path / "pids")) == 1)
        (first,) = pids(tmp_path / "pids")
        async with asking(server.url, "say hello", model="helper") as answer:
            async for _ in answer.pieces():
                break
            await server.runner.app[GENERATIONS].renew(old, KeyRing(), tmp_path)
            await until(lambda: len(pids(tmp_path / "pids")) == 2)
            assert is_running(first)
            assert (await ask(server.url, "again", model="helper")).text.endswith("two")
            assert is_running(first)
        await until_gone(first)
        assert is_running(pids(tmp_path / "pids")[1])
    assert not is_running(pids(tmp_path / "pids")[1])


async def test_a_resource_of_a_factory_is_left_by_its_own_task_after_the_run(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(ScriptedAnswer("hello", Stall()))
    async with serving(config_for(provider.base_url, team("opener", tools=())), tmp_path) as server:
        async with asking(server.url, "hello", model="opener") as answer:
            async for _ in answer.pieces():
                break
            assert teams.OPENED == ["mine"]
        await until_idle(server)
        await until(lambda: not teams.OPENED)


async def test_a_factory_chooses_by_name_and_adds_its_own_functions(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(Call("double", {"number": 21})))
    chosen = team("chooser", settings={"tool": "files"})
    unknown = chosen.model_copy(update={"id": "unknown", "settings": {"tool": "file"}})
    async with serving(config(provider, plain("works", tmp_path / "pids"), chosen, unknown), tmp_path) as server:
        assert "42" in (await ask(server.url, "21", model="chooser")).text
        (error,) = (await ask(server.url, "21", model="unknown")).errors
    assert 'the team has no tool "file" in its `tools`; did you mean files?' in error["message"]
