"""Every kind of tool except MCP, with a real service, a real database and real processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from autogen_core import CancellationToken
from autogen_core.tools import Workbench

from aiostream_server.config.model import (
    ChartToolConfig,
    CodeToolConfig,
    Config,
    HttpToolConfig,
    LangChainToolConfig,
    PythonToolConfig,
    SqlToolConfig,
    ToolConfig,
)
from aiostream_server.errors import ConfigError
from aiostream_server.present.blocks import table_or_fence
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.tools.toolbox import open_tools
from aiostream_server.tools.sql.database import Database
from tests.kit.process import until_gone
from tests.tools_for_teams import functions
from tests.tools_for_teams.calling import failure, said
from tests.tools_for_teams.servers import until

HERE = "tests.tools_for_teams.functions"


@asynccontextmanager
async def opened(
    config: ToolConfig, folder: Path, databases: Mapping[str, Database] | None = None
) -> AsyncIterator[Workbench]:
    """The workbench as a run has it, closed as at the end of a run."""
    async with open_tools(Config(tools={"it": config}), databases or {}, folder) as toolbox:
        assert await toolbox.problems() == []
        scope = toolbox.scope()
        (workbench,) = scope.workbenches(["it"], [])
        yield workbench
        toolbox.release(scope)


async def problems(config: ToolConfig, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        async with open_tools(Config(tools={"it": config}), {}, folder):
            pass
    (problem,) = caught.value.problems
    return problem


class TestHttp:
    @pytest.fixture
    async def service(self) -> AsyncIterator[tuple[str, list[web.Request]]]:
        seen: list[web.Request] = []

        async def handle(request: web.Request) -> web.StreamResponse:
            seen.append(request)
            match request.path.split("/")[1]:
                case "moved":
                    raise web.HTTPFound("http://169.254.169.254/secrets")
                case "broken":
                    return web.Response(status=503, text="maintenance until noon")
                case "large":
                    return web.Response(text="ä" * 1000)
                case "slow":
                    await asyncio.sleep(5)
            body = await request.text()
            return web.json_response({"path": request.raw_path, "method": request.method, "body": body})

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
        finally:
            await runner.cleanup()

    async def test_arguments_go_into_path_query_and_body(
        self, service: tuple[str, list[web.Request]], tmp_path: Path
    ) -> None:
        url, seen = service
        parameters = {"city": {"type": "string"}, "days": {"type": "integer"}}
        weather = HttpToolConfig(
            kind="http",
            description="The weather.",
            url=f"{url}/weather/{{city}}?format=json",
            parameters=parameters,
            optional=("days",),
            headers={"X-Team": "sales"},
        )
        async with opened(weather, tmp_path) as tool:
            (schema,) = await tool.list_tools()
            assert (schema["name"], schema["description"]) == ("it", "The weather.")
            assert schema["parameters"]["required"] == ["city"]
            assert '"/weather/Bonn?format=json"' in await said(tool, city="Bonn")
            assert '"/weather/K%C3%B6ln?format=json&days=3"' in await said(tool, city="Köln", days=3)
            assert "days" in await failure(tool, city="Bonn", days="soon")
        assert seen[0].headers["X-Team"] == "sales"
        post = weather.model_copy(update={"method": "POST"})
        async with opened(post, tmp_path) as tool:
            assert '{\\"days\\":3}' in await said(tool, city="Bonn", days=3)

    @pytest.mark.parametrize(
        "city", ["..", ".", "", "../../admin", "a/b", "x?admin=1", "x#y", "//evil.example", "@evil"]
    )
    async def test_no_argument_leaves_its_segment_of_the_path(
        self, service: tuple[str, list[web.Request]], tmp_path: Path, city: str
    ) -> None:
        url, seen = service
        weather = HttpToolConfig(
            kind="http", description="", url=f"{url}/weather/{{city}}/now", parameters={"city": {"type": "string"}}
        )
        async with opened(weather, tmp_path) as tool:
            result = await tool.call_tool("it", {"city": city})
        assert result.is_error is (city in ("..", ".", ""))
        for request in seen:
            assert request.raw_path.startswith("/weather/")
            assert request.raw_path.endswith("/now")
            assert request.raw_path.count("/") == 3
            assert "?" not in request.raw_path

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("moved", "it failed: the service redirects, which is not followed"),
            ("broken", "it failed: status 503: maintenance until noon"),
            ("slow", "it failed: no answer within 0.2 s"),
        ],
    )
    async def test_a_failure_is_an_error_that_the_model_sees(
        self, service: tuple[str, list[web.Request]], tmp_path: Path, path: str, told: str
    ) -> None:
        config = HttpToolConfig(kind="http", description="", url=f"{service[0]}/{path}", timeout_s=0.2)
        async with opened(config, tmp_path) as tool:
            assert await failure(tool) == told

    async def test_an_unreachable_service_and_a_large_answer(
        self, service: tuple[str, list[web.Request]], tmp_path: Path
    ) -> None:
        unreachable = HttpToolConfig(kind="http", description="", url="http://127.0.0.1:9/x")
        async with opened(unreachable, tmp_path) as tool:
            assert await failure(tool) == "it failed: the service cannot be reached (ConnectError)"
        large = HttpToolConfig(kind="http", description="", url=f"{service[0]}/large", byte_limit=20)
        async with opened(large, tmp_path) as tool:
            assert await said(tool) == "ä" * 10 + "\n… (more was left out)"

    async def test_cancelling_closes_the_connection(
        self, service: tuple[str, list[web.Request]], tmp_path: Path
    ) -> None:
        config = HttpToolConfig(kind="http", description="", url=f"{service[0]}/slow", timeout_s=5.0)
        async with opened(config, tmp_path) as tool:
            token = CancellationToken()
            call = asyncio.create_task(tool.call_tool("it", {}, token))
            await until(lambda: bool(service[1]))
            token.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await until(lambda: service[1][0].transport is None)


class TestPython:
    async def test_a_function_is_called_with_its_types(self, tmp_path: Path) -> None:
        async with opened(PythonToolConfig(kind="python", factory=f"{HERE}:convert"), tmp_path) as tool:
            (schema,) = await tool.list_tools()
            assert (schema["name"], schema["description"]) == ("it", "Convert dollars.")
            assert await said(tool, amount=2) == "4 EUR"
            assert "number" in await failure(tool, amount="much")

    async def test_a_coroutine_is_cancelled_in_its_middle(self, tmp_path: Path) -> None:
        async with opened(PythonToolConfig(kind="python", factory=f"{HERE}:slow"), tmp_path) as tool:
            token = CancellationToken()
            call = asyncio.create_task(tool.call_tool("it", {}, token))
            await functions.STARTED.wait()
            token.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("undocumented", "has no docstring: models would not know what it does"),
            ("untyped", "makes no tool: "),
            ("NUMBER", "is a int: expected a function"),
            ("Reverse", "is the class Reverse: expected a function"),
            ("nothing", "cannot be imported: AttributeError: "),
        ],
    )
    async def test_a_factory_that_is_no_function_is_named_when_it_is_loaded(
        self, tmp_path: Path, name: str, why: str
    ) -> None:
        problem = await problems(PythonToolConfig(kind="python", factory=f"{HERE}:{name}"), tmp_path)
        assert problem.startswith(f'[tools.it] factory: "{HERE}:{name}" {why}')


class TestLangChain:
    @pytest.mark.parametrize(
        ("name", "expected"), [("shout", "HEY"), ("make_shout", "HEY"), ("whisper", "hey"), ("Reverse", "yeH")]
    )
    async def test_a_tool_a_maker_a_coroutine_and_a_class(self, tmp_path: Path, name: str, expected: str) -> None:
        async with opened(LangChainToolConfig(kind="langchain", factory=f"{HERE}:{name}"), tmp_path) as tool:
            (schema,) = await tool.list_tools()
            assert schema["name"] == "it"
            assert await said(tool, text="Hey") == expected

    async def test_a_factory_that_is_no_tool_is_named_when_it_is_loaded(self, tmp_path: Path) -> None:
        problem = await problems(LangChainToolConfig(kind="langchain", factory=f"{HERE}:NUMBER"), tmp_path)
        assert problem == f'[tools.it] factory: "{HERE}:NUMBER" gives a int: expected a LangChain tool'


class TestSql:
    async def test_the_schema_and_checked_queries(self, tmp_path: Path) -> None:
        async with (
            open_databases(Config(), tmp_path) as databases,
            opened(SqlToolConfig(kind="sql"), tmp_path, databases) as tool,
        ):
            assert [schema["name"] for schema in await tool.list_tools()] == ["it_schema", "it_query"]
            assert "CREATE TABLE" in await said(tool, "it_schema")
            assert (await said(tool, "it_query", sql="SELECT 1 AS one")).splitlines()[0] == "| one |"
            rows = await said(tool, "it_query", sql="SELECT o.id FROM orders AS o, orders AS p")
            assert rows.splitlines()[-1] == "… and more rows"
            assert table_or_fence(rows).startswith("| id |"), "shown as a table, and not as code"
            assert "not run" in await failure(tool, "it_query", sql="DELETE FROM orders")
            assert "no such column" in await failure(tool, "it_query", sql="SELECT colour FROM orders")


class TestCode:
    CONFIG = CodeToolConfig(kind="code", executor="local", timeout_s=30, byte_limit=1000)

    async def test_code_runs_in_a_folder_that_is_removed_with_the_run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-server")
        async with opened(self.CONFIG, tmp_path) as tool:
            assert not (tmp_path / "code").exists()
            assert await said(tool, code="open('kept', 'w').write('x'); print('hello')") == "hello\n"
            assert await said(tool, code="import os; print(os.listdir(), os.environ.get('OPENAI_API_KEY'))") in (
                "['script.py', 'kept'] None\n",
                "['kept', 'script.py'] None\n",
            )
            assert "ZeroDivisionError" in await said(tool, code="1 / 0")
            assert (await said(tool, code="raise SystemExit(3)")) == "(exit status 3)"
            assert "more bytes left out" in await said(tool, code="print('x' * 10_000_000)")
            (folder,) = (tmp_path / "code").iterdir()
            assert folder.stat().st_mode & 0o077 == 0
        assert not folder.exists()

    async def test_late_or_cancelled_code_is_killed_with_its_child_processes(self, tmp_path: Path) -> None:
        code = (
            "import os, signal, subprocess, sys, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
            "open(sys.argv[0] + '.part', 'w').write(f'{os.getpid()} {child.pid}')\n"
            "os.rename(sys.argv[0] + '.part', 'pids')\n"
            "time.sleep(60)\n"
        )
        async with opened(self.CONFIG.model_copy(update={"timeout_s": 2}), tmp_path) as tool:
            assert await said(tool, code=code) == "it took longer than 2 s and was stopped"
            (file,) = (tmp_path / "code").glob("*/pids")
            await until_gone(*map(int, file.read_text().split()))
        async with opened(self.CONFIG.model_copy(update={"timeout_s": 600}), tmp_path) as tool:
            call = asyncio.create_task(tool.call_tool("it", {"code": code}))
            await until(lambda: bool(list((tmp_path / "code").glob("*/pids"))))
            (file,) = (tmp_path / "code").glob("*/pids")
            found = list(map(int, file.read_text().split()))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await until_gone(*found)
        assert not list((tmp_path / "code").iterdir())

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the process group is killed")
    @pytest.mark.parametrize("rest", ["", "time.sleep(60)", "os.kill(os.getpid(), signal.SIGSEGV)"])
    async def test_processes_in_other_sessions_end_with_the_code(self, tmp_path: Path, rest: str) -> None:
        """Also their children, although both keep the output open."""
        code = (
            "import os, signal, time\n"
            "if not os.fork():\n"
            "    os.setsid()\n"
            "    if child := os.fork():\n"
            "        open('part', 'w').write(f'{os.getpid()} {child}')\n"
            "        os.rename('part', 'pids')\n"
            "    else:\n"
            "        os.setsid()\n"
            "    time.sleep(60)\n"
            "    os._exit(0)\n"
            "while not os.path.exists('pids'):\n"
            "    time.sleep(0.01)\n"
            f"print('done', flush=True)\n{rest}\n"
        )
        async with opened(self.CONFIG.model_copy(update={"timeout_s": 2}), tmp_path) as tool:
            answer = await said(tool, code=code)
            (file,) = (tmp_path / "code").glob("*/pids")
            await until_gone(*map(int, file.read_text().split()))
        assert answer == {
            "": "done\n",
            "time.sleep(60)": "it took longer than 2 s and was stopped",
        }.get(rest, "done\n(exit status -11)")

    async def test_folders_of_processes_that_were_killed_are_removed(self, tmp_path: Path) -> None:
        abandoned, own = tmp_path / "code" / "4194305-left", tmp_path / "code" / f"{os.getpid()}-used"
        abandoned.mkdir(parents=True)
        own.mkdir()
        async with opened(self.CONFIG, tmp_path):
            assert not abandoned.exists()
            assert own.exists()

    @pytest.mark.skipif(Path("/var/run/docker.sock").exists(), reason="Docker is here")
    async def test_a_missing_docker_is_one_clear_line(self, tmp_path: Path) -> None:
        config = Config(tools={"it": CodeToolConfig(kind="code", executor="docker")})
        async with open_tools(config, {}, tmp_path) as toolbox:
            (problem,) = await toolbox.problems()
            assert problem == "[tools.it] Docker cannot be used: there is no unix:///var/run/docker.sock"
            scope = toolbox.scope()
            (tool,) = scope.workbenches(["it"], [])
            assert (await failure(tool, code="1")).startswith("Docker cannot be used: ")
            await scope.close()
        assert not list((tmp_path / "code").iterdir())


async def test_a_chart_is_called_by_the_name_of_its_table(tmp_path: Path) -> None:
    async with opened(ChartToolConfig(kind="chart"), tmp_path) as tool:
        assert [schema["name"] for schema in await tool.list_tools()] == ["it"]
