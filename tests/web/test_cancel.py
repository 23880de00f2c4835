"""A client that goes away takes its run with it; so does the end of the server. The provider's side is watched."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.kit import sample_teams
from tests.kit.scripted_provider import Call, Pause, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import asking, chat_body, config_for, sample_team, serving, until_idle
from tests.web.bare_client import no_longer_than, until


async def _read(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
    async with session.post(url, json=body) as response:
        await response.read()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("script", "tokens"),
    [
        (ScriptedAnswer("late", before_s=300), 0),
        (ScriptedAnswer("a", Stall()), 1),
        (ScriptedAnswer("a", Pause(300), "b"), 1),
        (ScriptedAnswer(*["x "] * 5_000, pause_s=0.05), 3),
    ],
    ids=["before headers", "stalled", "between tokens", "while tokens come"],
)
async def test_leaving_closes_the_providers_connection_within_a_second(
    tmp_path: Path, script: ScriptedAnswer, tokens: int, stream: bool
) -> None:
    async with ScriptedProvider() as provider:
        provider.script(script)
        async with serving(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            async with aiohttp.ClientSession() as session:
                body = chat_body("hi", model="pair") | {"stream": stream}
                asked = asyncio.create_task(_read(session, f"{server.url}/v1/chat/completions", body))
                exchange = await provider.request()
                await exchange.sent(tokens)
                asked.cancel()
                await asyncio.wait((asked,))
            async with no_longer_than(1.0):
                await exchange.closed.wait()
            await until_idle(server)
            assert len(provider.exchanges) == 1  # the second agent was never asked


async def test_leaving_in_the_middle_of_a_tool_call_ends_the_run(tmp_path: Path) -> None:
    """AutoGen itself hangs for ever here."""
    sample_teams.SLOW_TOOL_STARTED.clear()
    before = len(asyncio.all_tasks())
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Call("slow")))
        async with serving(config_for(provider.base_url, sample_team("with_slow_tool")), tmp_path) as server:
            async with asking(server.url, "hi", model="with-slow-tool") as answer:
                await anext(answer.stream())
                await sample_teams.SLOW_TOOL_STARTED.wait()
            async with no_longer_than(1.0):
                await until_idle(server)
    await until(lambda: len(asyncio.all_tasks()) <= before)


@pytest.mark.parametrize("team", ["hanging", "deaf"])
async def test_leaving_ends_teams_that_are_not_autogens(tmp_path: Path, team: str) -> None:
    async with serving(config_for("http://127.0.0.1:9/v1", sample_team(team)), tmp_path) as server:
        async with asking(server.url, "hi", model=team) as answer:
            await anext(answer.pieces())
        async with no_longer_than(1.0):
            await until_idle(server)


async def test_continue_lets_the_run_go_on_without_a_viewer(tmp_path: Path) -> None:
    team = sample_team("solo", on_disconnect="continue")
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["x "] * 10, pause_s=0.05))
        async with serving(config_for(provider.base_url, team), tmp_path) as server:
            async with asking(server.url, "hi", model="solo") as answer:
                await anext(answer.pieces())
            await until_idle(server)
            assert provider.exchanges[0].complete


async def test_shutdown_gives_every_stream_its_last_words(tmp_path: Path) -> None:
    """An error and `[DONE]` for each of twenty, whatever it was doing."""
    scripts = [
        ScriptedAnswer("a ", Stall()),
        ScriptedAnswer("b ", Pause(30), "c"),
        ScriptedAnswer(*["x "] * 1000, pause_s=0.05),
    ]
    async with ScriptedProvider() as provider:
        provider.script(lambda _: scripts[len(provider.exchanges) % 3])
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            streams = [asking(server.url, "hi", model="solo") for _ in range(20)]
            answers = [await stream.__aenter__() for stream in streams]
            for answer in answers:
                await anext(answer.pieces())
            reading = asyncio.gather(*(answer.read_all() for answer in answers))
            async with no_longer_than(2.0):
                await server.runner.cleanup()
            await reading
            for stream in streams:
                await stream.__aexit__(None, None, None)
    assert all(answer.done and answer.finish_reasons == ["error"] for answer in answers)
    assert all(exchange.closed_at is not None for exchange in provider.exchanges)


@pytest.mark.parametrize(
    ("limits", "code"), [({"run_timeout_s": 0.3}, "run_timeout"), ({"idle_timeout_s": 0.3}, "idle_timeout")]
)
async def test_a_run_that_takes_too_long_ends_with_a_reason(
    tmp_path: Path, limits: dict[str, float], code: str
) -> None:
    config = config_for("http://127.0.0.1:9/v1", sample_team("hanging"), limits=limits)
    async with serving(config, tmp_path) as server, asking(server.url, "hi", model="hanging") as answer:
        await answer.read_all()
    assert answer.errors[0]["code"] == code
    assert answer.text.startswith("💬 **Slow**\n\nthinking it over")
    assert answer.done


async def test_a_client_that_stops_reading_is_thrown_out_and_its_run_ended(tmp_path: Path) -> None:
    """It costs a bounded amount: the provider is made to wait meanwhile."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["x" * 20_000] * 2000))
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 0.5})
        async with serving(config, tmp_path) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]), limit=1024)
            body = b'{"model":"solo","stream":true,"messages":[{"role":"user","content":"hi"}]}'
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            await reader.read(100)
            exchange = await provider.request()
            async with asyncio.timeout(60):
                await exchange.closed.wait()
            assert len(exchange.left) < 1500
            await until_idle(server)
            writer.close()
