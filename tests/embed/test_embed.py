"""The server inside another program: in its own event loop, beside its own app, and as a process."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import ModelInfo
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.config.model import Config, DemoModelConfig, TeamConfig
from aiostream_server.embed import create_app, team
from aiostream_server.errors import ConfigError
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from aiostream_server.teams.context import TeamContext
from aiostream_server.web.state import STATE
from tests.kit.forkserver import fork
from tests.kit.observing import Remembering
from tests.kit.process import environment
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, chat_body, get_json
from tests.kit.waiting import DEADLINE_S

PROGRAM = """
from aiohttp import web
from autogen_agentchat.agents import AssistantAgent
from aiostream_server.embed import create_app, team


@team(id="greeter", answer_from=["Greeter"])
def greeter(context):
    '''Greets.'''
    return AssistantAgent("Greeter", context.model())


config = {"models": {"default": {"provider": "demo", "tokens_per_s": 60}}}
app = create_app([greeter], config=config)


def say(text, **_):
    print(text, flush=True)


web.run_app(app, host="127.0.0.1", port=PORT, handler_cancellation=True, print=say)
"""
INFO = ModelInfo(vision=False, function_calling=False, json_output=False, family="unknown", structured_output=False)


@team(id="greeter", answer_from=["Greeter"])
def greeter(context: TeamContext) -> AssistantAgent:
    """Greeter.

    Says hello.
    """
    return AssistantAgent("Greeter", context.model())


async def plain_one(context: TeamContext) -> AssistantAgent:
    """Not marked."""
    return AssistantAgent("Plain", context.model("own"))


@asynccontextmanager
async def running(app: web.Application, host: str = "127.0.0.1", **settings: Any) -> AsyncIterator[str]:
    """In this loop, as a program does it."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, **settings)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, 0).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def models_of(url: str) -> list[str]:
    return [model["id"] for model in (await get_json(f"{url}/v1/models"))["data"]]


async def status_of(url: str, **settings: Any) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, **settings) as response:
        await response.read()
        return response.status


def problems_of(make: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        make()
    return list(caught.value.problems)


class TestAnApp:
    async def test_without_arguments_it_is_the_demo(self, tmp_path: Path) -> None:
        async with running(create_app(state_directory=tmp_path)) as url:
            assert await models_of(url) == ["auto", "general", "data"]
            assert "127.5" in (await ask(url, "What is 15% of 850?")).text

    async def test_it_serves_teams_of_the_program_and_of_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "teams").mkdir()
        (tmp_path / "teams" / "late.py").write_text("def build(context): ...", "utf-8")
        text = 'team_folders = [{ path = "teams" }]\n'
        text += 'teams = [{ id = "listed", factory = "tests.kit.sample_teams:solo" }]\n'
        text += 'routing.fallback = "greeter"\nmodels.default = { provider = "demo" }'
        (tmp_path / "server.toml").write_text(text, "utf-8")
        client = ReplayChatCompletionClient(["one two three"], model_info=INFO)
        app = create_app(
            [greeter, plain_one],
            config=str(tmp_path / "server.toml"),
            models={"own": client, "default": ReplayChatCompletionClient(["Hello you"], model_info=INFO)},
            state_directory=str(tmp_path),
        )
        async with running(app) as url:
            assert await models_of(url) == ["auto", "greeter", "plain-one", "listed", "late"]
            hello = await ask(url, "hi", model="greeter")
            assert hello.text.endswith("✅ **Greeter**\n\nHello you")
            assert (await ask(url, "hi", model="plain-one")).text.endswith("one two three")
            shown = await get_json(f"{url}/v1/models/greeter")
            assert (shown["name"], shown["description"]) == ("Greeter", "Says hello.")
        client.reset()
        assert (await client.create([])).content == "one two three"  # it is the program's own, and still open

    async def test_two_servers_in_one_program_are_separate(self, tmp_path: Path) -> None:
        config = {"models": {"default": {"provider": "demo"}}}
        first = create_app([greeter], config=config, state_directory=tmp_path / "1")
        second = create_app([], config=config, state_directory=tmp_path / "2")
        async with running(first) as one, running(second) as two:
            assert await models_of(one) == ["auto", "greeter"]
            assert await models_of(two) == ["auto", "general", "data"]

    async def test_it_is_part_of_another_app(self, tmp_path: Path) -> None:
        """Under a prefix: its errors are its own, the program's pages the program's, and Stop stops."""

        async def page(_: web.Request) -> web.Response:
            return web.Response(text="the program's")

        async with ScriptedProvider() as provider:
            provider.script(ScriptedAnswer("Hello"), ScriptedAnswer("one", Stall()))
            model = {"provider": "openai", "model": "m", "base_url": provider.base_url}
            main = web.Application()
            main.router.add_get("/", page)
            inner = create_app([greeter], config={"models": {"default": model}}, state_directory=tmp_path)
            main.add_subapp("/ai", inner)
            async with running(main, handler_cancellation=True) as url:
                assert await status_of(f"{url}/") == 200
                assert await status_of(f"{url}/v1/models") == 404
                assert await models_of(f"{url}/ai") == ["auto", "greeter"]
                assert await status_of(f"{url}/ai/nowhere") == 404
                assert (await get_json(f"{url}/ai/readyz"))["status"] == "ready"
                answer = await ask(f"{url}/ai", "hi", model="greeter")
                assert answer.text.endswith("Hello")
                assert answer.response.headers["X-Request-ID"].startswith("req-")
                async with asking(f"{url}/ai", "hi", model="greeter") as left:
                    assert "one" in await anext(left.pieces())
                async with asyncio.timeout(DEADLINE_S):
                    await provider.exchanges[1].closed.wait()
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(f"{url}/ai/v1/chat/completions", json=chat_body("hi", model="x")) as refused,
                ):
                    assert (await refused.json())["error"]["code"] == "model_not_found"

    async def test_streams_end_properly_at_cleanup(self, tmp_path: Path) -> None:
        async with ScriptedProvider() as provider:
            provider.script(ScriptedAnswer("one", Stall()))
            model = {"provider": "openai", "model": "m", "base_url": provider.base_url}
            app = create_app([greeter], config={"models": {"default": model}}, state_directory=tmp_path)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            async with asking(f"http://127.0.0.1:{runner.addresses[0][1]}", "hi", model="greeter") as answer:
                await anext(answer.pieces())
                async with asyncio.timeout(DEADLINE_S):
                    _, ended = await asyncio.gather(runner.cleanup(), answer.read_all())
            assert ended.done

    async def test_without_handler_cancellation_a_client_that_left_is_noticed_at_the_next_heartbeat(
        self, tmp_path: Path
    ) -> None:
        async with ScriptedProvider() as provider:
            provider.script(ScriptedAnswer("one", Stall()))
            model = {"provider": "openai", "model": "m", "base_url": provider.base_url}
            config = {"models": {"default": model}, "server": {"heartbeat_s": 0.2}}
            async with running(create_app([greeter], config=config, state_directory=tmp_path)) as url:
                async with asking(url, "hi", model="greeter") as left:
                    await anext(left.pieces())
                async with asyncio.timeout(DEADLINE_S):
                    await provider.exchanges[0].closed.wait()

    async def test_metrics_are_counted_and_an_observer_is_told(self, tmp_path: Path) -> None:
        observer = Remembering()
        async with running(create_app([greeter], state_directory=tmp_path, observer=observer)) as url:
            await ask(url, "hi", model="greeter")
            async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
                figures = await response.text()
            assert "loop_lag_s" in await get_json(f"{url}/readyz")
        assert 'aiostream_runs_total{outcome="stop",team="greeter"} 1.0' in figures
        assert "aiostream_runs_live 0.0" in figures
        assert any("run" in told and "greeter" in told for told in observer.told)

    async def test_without_keys_other_machines_are_refused_wherever_the_program_listens(self, tmp_path: Path) -> None:
        addresses = [address for address in await _own_addresses() if not address.startswith("127.")]
        if not addresses:
            pytest.skip("NO ADDRESS BUT LOOPBACK HERE: a remote peer was not tried")
        async with running(create_app(state_directory=tmp_path), addresses[0]) as url:
            assert await status_of(f"{url}/v1/models", headers={"Host": "localhost"}) == 403
            assert await status_of(f"{url}/healthz", headers={"Host": "localhost"}) == 403

    async def test_with_keys_other_machines_are_answered(self, tmp_path: Path) -> None:
        addresses = [address for address in await _own_addresses() if not address.startswith("127.")]
        if not addresses:
            pytest.skip("NO ADDRESS BUT LOOPBACK HERE: a remote peer was not tried")
        key, secret = new_key("other")
        add_key(tmp_path / "keys.json", key)
        app = create_app(config={"auth": {"keys_file": f"{tmp_path}/keys.json"}}, state_directory=tmp_path)
        async with running(app, addresses[0]) as url:
            assert await status_of(f"{url}/v1/models") == 401
            assert await status_of(f"{url}/v1/models", headers={"X-API-Key": secret.get_secret_value()}) == 200

    async def test_variables_override_a_mapping_but_no_config(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIOSTREAM_LIMITS__MAX_RUNS", "7")
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
        made = Config(models={"default": DemoModelConfig(provider="demo")})
        for config, max_runs in (({"limits": {"max_runs": 9}}, 7), (None, 7), (made, made.limits.max_runs)):
            app = create_app(config=config)
            async with running(app):
                assert app[STATE].state.config.limits.max_runs == max_runs
        assert (tmp_path / "conversations.db").exists()


async def _own_addresses() -> list[str]:
    process = await asyncio.create_subprocess_exec("hostname", "-I", stdout=asyncio.subprocess.PIPE)
    return [each for each in (await process.communicate())[0].decode().split() if ":" not in each]


class TestMistakes:
    def test_all_mistakes_are_told_at_once(self) -> None:
        @team(id="auto")
        def reserved(context: TeamContext) -> None: ...

        @team(id="a", presentation="loud")  # type: ignore[call-overload, untyped-decorator]  # it is wrong
        def loud(context: TeamContext) -> None: ...

        def nothing() -> None: ...

        finished = RoundRobinGroupChat([AssistantAgent("A", ReplayChatCompletionClient([]))])
        wrong: list[Any] = [reserved, loud, nothing, finished]
        lines = problems_of(lambda: create_app(wrong, models={"default": "gpt"}))  # type: ignore[dict-item]  # wrong
        here, wanted = f"({__file__}:", "expected a function that makes one"
        assert [line.split(here)[0].strip() for line in lines] == [
            "models['default']: expected an AutoGen ChatCompletionClient, got str",
            'teams[0] (auto) id: "auto" is the server\'s own model id',
            'teams[1] (a) presentation: expected "transcript", "reasoning" or "answer", got "loud"',
            "teams[2] takes no argument: expected a function of one argument, the context",
            f"teams[3] is a finished RoundRobinGroupChat: {wanted}, since a team runs only once",
        ]
        assert all(here in line for line in lines[1:4])
        both = problems_of(lambda: create_app([len, 5], config={"server": {"prot": 1}}))  # type: ignore[list-item]  # wrong
        assert [line.split()[0] for line in both] == ["teams[1]", "[server]"]
        assert problems_of(lambda: create_app(greeter)) == ["teams: expected a list of functions"]  # type: ignore[arg-type]  # wrong

    def test_a_configuration_is_checked_as_the_servers_is(self, tmp_path: Path) -> None:
        assert problems_of(lambda: create_app(config={"server": {"prot": 1}})) == [
            "[server] prot: unknown key; did you mean port?"
        ]
        assert problems_of(lambda: create_app(config=tmp_path / "no.toml")) == [
            f"{tmp_path / 'no.toml'}: cannot be read: no such file or directory"
        ]
        listed = {"teams": [{"id": "a", "factory": "x:y", "model": "large"}]}
        client = ReplayChatCompletionClient([])
        assert problems_of(lambda: create_app(config=listed, models={"big": client})) == [
            "[[teams]] #1 (a) model: there is no [models.large]; known: big"
        ]

    @pytest.mark.parametrize(
        ("config", "line"),
        [
            (
                {"teams": [{"id": "greeter", "factory": "tests.kit.sample_teams:solo"}]},
                "[[teams]] #1 (greeter) id: teams[0]",
            ),
            ({"teams": [{"id": "a", "factory": "tests.nowhere:build"}]}, "[[teams]] #1 (a) factory: "),
            ({"routing": {"fallback": "greter"}}, '[routing] fallback: no team has the id "greter"; did you mean'),
        ],
    )
    async def test_mistakes_that_show_at_startup_are_told_then(
        self, tmp_path: Path, config: dict[str, Any], line: str
    ) -> None:
        app = create_app([greeter], config=config, state_directory=tmp_path)
        with pytest.raises(ConfigError) as caught:
            async with running(app):
                raise AssertionError
        assert len(caught.value.problems) == 1
        assert caught.value.problems[0].startswith(line)

    async def test_an_unknown_model(self, tmp_path: Path) -> None:
        config = Config(models={"large": DemoModelConfig(provider="demo")}, teams=(TeamConfig(id="a", factory="x:y"),))
        with pytest.raises(
            ConfigError, match=r"\(greeter\) there is no model 'default': the configuration has \[models.l"
        ):
            async with running(create_app([greeter], config=config, state_directory=tmp_path)):
                raise AssertionError


class TestAProcess:
    async def test_it_serves_and_ends_its_streams_at_sigterm(self, tmp_path: Path, unused_tcp_port: int) -> None:
        path = tmp_path / "program.py"
        path.write_text(PROGRAM.replace("PORT", str(unused_tcp_port)), "utf-8")
        env = environment(tmp_path, PYTHONPATH=str(Path(__file__).parents[2]))
        process = await fork((str(path),), env, stdout=asyncio.subprocess.PIPE, stderr=2)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(DEADLINE_S):
                assert b"Running on" in await process.stdout.readline()
                url = f"http://127.0.0.1:{unused_tcp_port}"
                assert (await ask(url, "Hello!", model="greeter")).text.startswith("✅ **Greeter**")
                async with asking(url, "Hello! Tell me something.", model="greeter") as answer:
                    await anext(answer.pieces())
                    process.send_signal(signal.SIGTERM)
                    assert (await answer.read_all()).done
                rest = await process.stdout.read()
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert b"run_finished" not in rest

    def test_marking_a_team_loads_no_libraries(self) -> None:
        code = (
            "import sys, json\nfrom aiostream_server.embed import team\n@team\ndef a(context): ...\n"
            "heavy = ('autogen', 'aiohttp', 'pydantic', 'sqlalchemy')\n"
            "print(json.dumps([name for name in sys.modules if name.startswith(heavy)]))"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert json.loads(out) == []


class TestLogs:
    @pytest.fixture(autouse=True)
    def fresh(self) -> Any:
        before = structlog.get_config()
        structlog.reset_defaults()
        yield
        structlog.configure(**before)

    async def test_lines_go_where_the_program_sends_them(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.INFO, "aiostream_server")
        async with running(create_app([greeter], state_directory=tmp_path)) as url:
            await ask(url, "hi", model="greeter")
        (line,) = [record for record in caplog.records if "run_finished" in record.message]
        assert line.name.startswith("aiostream_server.")
        assert "outcome=stop" in line.message
        assert "run_finished" not in capsys.readouterr().out

    def test_a_program_that_has_set_up_structlog_keeps_it(self, tmp_path: Path) -> None:
        structlog.configure(processors=[structlog.processors.JSONRenderer()])
        before = structlog.get_config()
        create_app([greeter], state_directory=tmp_path)
        assert structlog.get_config() == before


def test_its_state_is_an_aiohttp_apps(tmp_path: Path) -> None:
    app = create_app([greeter], state_directory=tmp_path)
    assert isinstance(app, web.Application)
    assert STATE not in app  # nothing is open
