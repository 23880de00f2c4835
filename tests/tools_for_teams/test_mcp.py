"""What agents see of correct and broken MCP servers, and that nothing remains of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import web
from autogen_core import CancellationToken
from autogen_core.tools import Workbench
from pydantic import SecretStr
from structlog.testing import capture_logs

from aiostream_server.config.model import McpToolConfig
from aiostream_server.errors import ToolFailed
from aiostream_server.teams.tools.mcp.tool import McpTool, mcp_settings
from aiostream_server.teams.tools.mcp.transport import Diagnostics
from aiostream_server.teams.tools.scope import RunScope
from tests.kit.process import is_running, until_gone
from tests.tools_for_teams.calling import failure, said
from tests.tools_for_teams.servers import pids, plain, program, serving_mcp, until


@asynccontextmanager
async def opened(config: McpToolConfig) -> AsyncIterator[Workbench]:
    """The tool as a run has it. At the end everything is closed, and no task is left."""
    before = asyncio.all_tasks()
    tool, scope = McpTool("files", config), RunScope()
    try:
        yield tool.workbench(scope)
    finally:
        await scope.close()
        await tool.close()
    left = asyncio.all_tasks() - before
    assert not left, left


async def test_a_program_answers_is_cancelled_crashes_and_starts_again() -> None:
    """One process, because it takes a third of a second to start."""
    async with opened(
        program(prefix="my_", only=("add", "pid", "wait", "waiting", "given_up", "crash", "big"), byte_limit=100)
    ) as mcp:
        tools = await mcp.list_tools()
        names = ("add", "pid", "wait", "waiting", "given_up", "crash", "big")
        assert [tool["name"] for tool in tools] == [f"my_{name}" for name in names]
        assert tools[0]["description"] == "Add two numbers."
        assert tools[0]["parameters"]["required"] == ["a", "b"]
        assert await said(mcp, "my_add", a=1, b=2) == "3"
        for not_offered in ("my_fail", "fail", "big"):
            assert await failure(mcp, not_offered) == f"there is no tool {not_offered!r}"
        assert "valid integer" in await failure(mcp, "my_add", a="x", b=2)
        assert await said(mcp, "my_big", size=150) == "x" * 100 + "\n… (50 more bytes left out)"
        first = int(await said(mcp, "my_pid"))

        token = CancellationToken()
        call = asyncio.create_task(mcp.call_tool("my_wait", {"seconds": 600}, token))
        await until_count(mcp, "my_waiting", 1)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until_count(mcp, "my_given_up", 1)

        waiting = asyncio.create_task(mcp.call_tool("my_wait", {"seconds": 600}))
        with capture_logs() as logs:
            assert "ended" in await failure(mcp, "my_crash")
            assert "ended" in (await waiting).to_text()
            second = int(await said(mcp, "my_pid"))
        assert first != second
    assert [(log["event"], log["reason"]) for log in logs if log["log_level"] == "warning"] == [
        ("mcp_server_lost", "it ended with status 3")
    ]
    assert not is_running(second)


@pytest.mark.parametrize("transport", ["http", "sse"])
async def test_a_service_answers_and_its_connections_are_closed(transport: Literal["http", "sse"]) -> None:
    async with serving_mcp(transport) as server:
        async with opened(McpToolConfig(kind="mcp", url=server.url, transport=transport)) as mcp:
            assert len(await mcp.list_tools()) == 8
            assert "this never works" in await failure(mcp, "fail")
            calls = [said(mcp, "add", a=number, b=1) for number in range(5)]
            assert await asyncio.gather(*calls) == ["1", "2", "3", "4", "5"]
            token = CancellationToken()
            call = asyncio.create_task(mcp.call_tool("wait", {"seconds": 600}, token))
            await until_count(mcp, "waiting", 1)
            token.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await until_count(mcp, "given_up", 1)
            assert server.connections > 0
        await until(lambda: server.connections == 0)


async def test_a_service_that_comes_back_is_asked_again() -> None:
    async with serving_mcp("http") as server:
        config = McpToolConfig(kind="mcp", url=server.url, call_timeout_s=2.0)
        port = int(server.url.split(":")[2].partition("/")[0])
        tool = McpTool("files", config)
        mcp = tool.workbench(RunScope())
        assert await said(mcp, "add", a=1, b=1) == "2"
        names = [listed["name"] for listed in await mcp.list_tools()]
    with capture_logs():
        # AutoGen lists the tools before each call, and waits forever where that raises.
        await failure(mcp, "add", a=1, b=1)
        assert [listed["name"] for listed in await mcp.list_tools()] == names
        async with serving_mcp("http", port):
            await until_answers(mcp)
            await tool.close()


async def test_cancelling_one_of_two_simultaneous_calls_leaves_the_other_alone() -> None:
    """Both calls start in one turn of the event loop."""
    async with serving_mcp("http") as server, opened(McpToolConfig(kind="mcp", url=server.url)) as mcp:
        await mcp.list_tools()
        stays = asyncio.create_task(mcp.call_tool("wait", {"seconds": 1}))
        cancelled = asyncio.create_task(mcp.call_tool("wait", {"seconds": 600}))
        await until_count(mcp, "waiting", 2)
        cancelled.cancel()
        assert (await stays).to_text() == "waited"
        await until_count(mcp, "given_up", 1)


async def until_count(mcp: Workbench, counter: str, count: int) -> None:
    """Poll a counter of the server, which has no event for it."""
    async with asyncio.timeout(30):
        while await said(mcp, counter) != str(count):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_answers(mcp: Workbench) -> None:
    async with asyncio.timeout(30):
        while (await mcp.call_tool("add", {"a": 1, "b": 1})).is_error:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # the server backs off for at least a second


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("silent", "no answer within 1.5 s"),
        ("babbles", "lines of its output are no MCP messages; its last words"),
        ("dies", "it ended with status 1; its last words: cannot read the token ***: no such file"),
        ("missing", "no-such-program-at-all: no such program"),
    ],
)
async def test_a_server_that_cannot_be_used_is_one_clear_error(tmp_path: Path, mode: str, why: str) -> None:
    config = plain(mode, tmp_path / "pids", start_timeout_s=1.5 if mode in ("silent", "babbles") else 30.0)
    if mode == "missing":
        config = config.model_copy(update={"command": "no-such-program-at-all"})
    config._secret_env["TOKEN"] = SecretStr("hunter2")
    with capture_logs() as logs:
        async with opened(config) as mcp:
            with pytest.raises(ToolFailed) as caught:
                await mcp.list_tools()
            with pytest.raises(ToolFailed):  # at once: backoff prevents another start
                await mcp.list_tools()
            assert 'the tool "files" is not available' in await failure(mcp, "echo")
    assert str(caught.value).startswith('the tool "files" is not available: its MCP server cannot be used.')
    assert "[tools.files]" in str(caught.value)
    (log,) = (log for log in logs if log["log_level"] == "warning")
    assert log["event"] == "mcp_server_unreachable"
    assert why.rpartition("; its last words")[0] in log["reason"] if mode == "babbles" else why in log["reason"]
    assert "hunter2" not in str(logs)
    assert len(pids(tmp_path / "pids")) == (mode != "missing")
    await until_gone(*pids(tmp_path / "pids"))


async def test_a_program_that_ignores_everything_is_killed_with_its_children(tmp_path: Path) -> None:
    config = plain("ignores", tmp_path / "pids", scope="run", call_timeout_s=1.0)
    async with opened(config) as mcp:
        assert len(await mcp.list_tools()) == 2
        assert await failure(mcp, "echo") == "echo failed: no answer within 1 s"
        found = pids(tmp_path / "pids")
        assert len(found) == 2
        assert all(map(is_running, found))
    await until_gone(*found)


async def test_lines_that_are_not_messages_are_skipped_and_names_are_made_valid(tmp_path: Path) -> None:
    async with opened(plain("works", tmp_path / "pids")) as mcp:
        assert [tool["name"] for tool in await mcp.list_tools()] == ["echo", "list_files"]
        assert "PATH" in await said(mcp, "list_files")


async def test_a_server_that_keeps_ending_is_restarted_with_backoff(tmp_path: Path) -> None:
    """The first restart is immediate, because a server may end by chance."""
    with capture_logs():
        async with opened(plain("once", tmp_path / "pids")) as mcp:
            outcomes = [(await mcp.call_tool("echo", {})).is_error for _ in range(8)]
    assert outcomes == [False, True, False, True, True, True, True, True]
    assert len(pids(tmp_path / "pids")) == 2


async def test_a_server_that_was_away_for_days_is_one_clear_error_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiostream_server.teams.tools.mcp.server._FIRST_BACKOFF_S", 0.0)
    config = plain("works", tmp_path / "pids").model_copy(update={"command": "no-such-program-at-all"})
    with capture_logs():
        async with opened(config) as mcp:
            for _ in range(1_100):
                with pytest.raises(ToolFailed, match='the tool "files" is not available'):
                    await mcp.list_tools()


async def test_a_program_gets_its_own_variables_and_none_of_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-server")
    config = plain("works", tmp_path / "pids", env={"LOG_LEVEL": "warning"})
    config._secret_env["TOKEN"] = SecretStr("hunter2")
    async with opened(config) as mcp:
        variables = json.loads(await said(mcp, "list_files"))
    assert variables["LOG_LEVEL"] == "warning"
    assert variables["TOKEN"] == "hunter2"
    assert "OPENAI_API_KEY" not in variables
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (web.Response(status=401), "it answered 401 Unauthorized"),
        (web.Response(status=404), "it answered 404 Not Found"),
        (
            web.Response(text="<html>", content_type="text/html"),
            "its answer is no MCP: Unexpected content type: text/html",
        ),
        (None, "127.0.0.1:9: connection refused"),
    ],
)
async def test_a_url_without_an_mcp_server_is_one_clear_line(answer: web.Response | None, why: str) -> None:
    async def handle(_: web.Request) -> web.Response:
        assert answer is not None
        return web.Response(status=answer.status, text=answer.text, content_type=answer.content_type)

    app = web.Application()
    app.router.add_post("/mcp", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1] if answer is not None else 9}/mcp"
    tool = McpTool("files", McpToolConfig(kind="mcp", url=url, start_timeout_s=1.5))
    with capture_logs():
        problem = await tool.problem()
    await tool.close()
    await runner.cleanup()
    assert problem is not None
    assert problem.startswith("the MCP server cannot be used: ")
    assert why in problem


async def test_closing_does_not_wait_for_a_service_that_does_not_react() -> None:
    """It answers neither calls nor the end of its session."""

    async def handle(request: web.Request) -> web.StreamResponse:
        message = await request.json() if request.method == "POST" else {"method": ""}
        if "id" not in message and message["method"]:
            return web.Response(status=202)
        info = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        results = {"initialize": info, "tools/list": {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}}
        if message["method"] not in results:
            await asyncio.sleep(600)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": results[message["method"]]}
        return web.json_response(answer, headers={"Mcp-Session-Id": "s"})

    app = web.Application()
    app.router.add_route("*", "/mcp", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    async with opened(McpToolConfig(kind="mcp", url=url, call_timeout_s=0.5)) as mcp:
        assert await failure(mcp, "t") == "t failed: no answer within 0.5 s"
    await runner.cleanup()


def test_secrets_are_replaced_before_text_is_cut() -> None:
    """Otherwise the beginning of a secret at the cut would remain."""
    diagnostics = Diagnostics(("sk-abcdef", "sk-abcdef-and-more", ""))
    diagnostics.add_stderr(b"x" * 294 + b" sk-abcdef-and-more")
    assert str(diagnostics).endswith("x *** ".rstrip())
    assert "sk" not in diagnostics.redact("a\n" * 148 + "sk-abcdef-and-more")
    assert diagnostics.redact("no secret\nat all") == "no secret at all"


def test_secrets_are_in_no_repr() -> None:
    config = program()
    config._secret_env["TOKEN"] = SecretStr("hunter2")
    assert "hunter2" in mcp_settings("files", config).secrets
    assert "hunter2" not in repr(mcp_settings("files", config))
