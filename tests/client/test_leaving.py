"""Leaving a stream before its end cancels the run in every phase, unless `on_disconnect` is "continue"."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiostream_server.client import StreamClient
from aiostream_server.config.model import LimitsConfig
from aiostream_server.events import Event, RunFinished, RunStarted, Token
from aiostream_server.intake.principal import Owner
from tests.kit.runs import runs_in
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving, until_idle
from tests.kit.waiting import wait_for


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Stall()), ScriptedAnswer("one ", Stall()))
        yield provider


@pytest.fixture
async def server(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
        yield server


def reasons(server: Server) -> list[str | None]:
    return [run.finished.reason if run.finished else None for run in runs_in(server.state.registry, Owner())]


@pytest.mark.parametrize("until", [RunStarted, Token])
@pytest.mark.parametrize("way", ["break", "raise", "cancel", "aclose", "exit"])
async def test_leaving_cancels_the_run(
    server: Server, provider: ScriptedProvider, way: str, until: type[Event]
) -> None:
    """Before the client is closed."""
    left = asyncio.Event()

    async def listen(client: StreamClient) -> None:
        stream = client.stream("hi", model="solo")
        async for event in stream:
            if isinstance(event, until):
                left.set()
                if way == "break":
                    break
                if way == "raise":
                    raise ValueError
                if way == "aclose":
                    await stream.aclose()
                if way == "exit":
                    await client.__aexit__(None, None, None)

    async with StreamClient(server.url) as client:
        task = asyncio.create_task(listen(client))
        await left.wait()
        if way == "cancel":
            task.cancel()
        await asyncio.wait({task})
        await until_idle(server)
        assert task.cancelled() == (way == "cancel")
        assert task.cancelled() or (task.exception() is not None) == (way == "raise")
    assert reasons(server) == ["cancelled"]


async def test_a_run_with_on_disconnect_continue_survives(server: Server, provider: ScriptedProvider) -> None:
    async with StreamClient(server.url) as client:
        stream = client.stream("hi", model="solo", on_disconnect="continue")
        async for event in stream:
            if isinstance(event, Token):
                break
    assert stream.run_id
    assert reasons(server) == [None]
    async with StreamClient(server.url) as client:
        async for _ in client.attach(stream.run_id):
            break  # a viewer that attached does not cancel the run
        await asyncio.sleep(0.05)
        assert reasons(server) == [None]
        async for _ in client.attach(stream.run_id, on_disconnect="cancel"):
            break
        await until_idle(server)


async def test_a_cancelled_run_still_yields_its_last_events(server: Server) -> None:
    events = []
    async with StreamClient(server.url) as client:
        stream = client.stream("hi", model="solo")
        async for event in stream:
            events.append(event)
            if isinstance(event, Token):
                await stream.cancel()
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "cancelled"


@pytest.mark.parametrize("way", ["cancel", "aclose"])
async def test_leaving_while_queued_leaves_no_run_behind(provider: ScriptedProvider, tmp_path: Path, way: str) -> None:
    """The client does not know the run's id before the server answers."""
    limits = LimitsConfig(max_runs=1, queue_size=1)
    config = config_for(provider.base_url, sample_team("solo"), limits=limits)
    async with serving(config, tmp_path) as server, StreamClient(server.url) as client:
        first = await client.start("hi", model="solo")
        second = client.stream("hi", model="solo")
        events = aiter(second)
        waiting = asyncio.ensure_future(anext(events, None))
        await wait_for(lambda: bool(server.state.registry.queued), "the second question is queued")
        leaving = asyncio.create_task(second.aclose()) if way == "aclose" else None
        if way == "cancel":
            waiting.cancel()
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await client.cancel(first)  # the second run starts then, and is cancelled
        await asyncio.wait({waiting})
        if leaving is not None:
            await leaving
            assert waiting.result() is None
        await until_idle(server)
        assert reasons(server) == ["cancelled", "cancelled"]


async def test_leaving_while_queued_withdraws_the_question_after_a_time(
    provider: ScriptedProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiostream_server.client.stream._LEAVING_S", 0.5)
    limits = LimitsConfig(max_runs=1, queue_size=1, queue_timeout_s=50)
    config = config_for(provider.base_url, sample_team("solo"), limits=limits)
    async with serving(config, tmp_path) as server, StreamClient(server.url) as client:
        await client.start("hi", model="solo")
        stream = client.stream("hi", model="solo")
        waiting = asyncio.ensure_future(anext(aiter(stream), None))
        await wait_for(lambda: bool(server.state.registry.queued), "the second question is queued")
        async with asyncio.timeout(25):  # half of the time that the server would keep it
            await stream.aclose()
            assert await waiting is None
        await wait_for(lambda: not server.state.registry.queued, "the question is withdrawn")


async def test_leaving_a_stream_that_was_never_read(server: Server) -> None:
    async with StreamClient(server.url) as client:
        stream = client.stream("hi", model="solo")
        await stream.cancel()
        assert [event async for event in stream] == []
    assert reasons(server) == []
