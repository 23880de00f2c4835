"""Connections break at any byte, in any way: the client yields all events of the run, once and in order."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiostream_server.client import ClientError, ConnectionLost, NoServer, RunStream, StreamClient
from aiostream_server.config.model import ServerConfig
from aiostream_server.events import Event, RunFinished
from aiostream_server.intake.principal import Owner
from tests.client.chaos import Fate, How, chaos
from tests.kit.runs import run_in, runs_in
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving

HOWS: tuple[How, ...] = ("close", "reset", "stall")
ANSWER = ScriptedAnswer("one ", "two ", "three")


@pytest.fixture
async def server(provider: ScriptedProvider, tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
        yield server


def impatient(url: str, *, max_reconnects: int = 50, silence_timeout_s: float = 0.25) -> StreamClient:
    """On a busy machine a connection may be silent for so long without being stalled: that is a reconnection more."""
    return StreamClient(url, backoff_s=0.001, silence_timeout_s=silence_timeout_s, max_reconnects=max_reconnects)


def logged_by(server: Server, run_id: str | None) -> list[Event]:
    """The events in the run's log."""
    assert run_id is not None
    return [entry.event for entry in run_in(server.state.registry, run_id, Owner()).log.since(0)]


async def all_of(stream: RunStream) -> list[Event]:
    return [event async for event in stream]


async def attached(url: str, run_id: str) -> list[Event]:
    """The run's events, over a new connection."""
    async with impatient(url, silence_timeout_s=30) as client:
        return await all_of(client.attach(run_id))


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_cut_at_every_place(server: Server, provider: ScriptedProvider, how: How) -> None:
    """In the status line, in the headers, in a number, in a chunk's size, in the last line end."""
    provider.script(ANSWER)
    async with impatient(server.url) as direct:
        stream = direct.stream("hi", model="solo")
        whole = await all_of(stream)
    run_id = stream.run_id
    assert run_id
    assert whole == logged_by(server, run_id)
    async with chaos(server.url) as proxy:
        assert await attached(proxy.url, run_id) == whole
        (length,) = proxy.passed
        for at in range(0, length, 5):
            proxy.fates.append(Fate(at, how))
            assert await attached(proxy.url, run_id) == whole, at
            assert not proxy.fates


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fates=st.lists(st.builds(Fate, st.integers(0, 1500), st.sampled_from(HOWS)), max_size=3))
async def test_many_cuts_of_a_live_run(server: Server, provider: ScriptedProvider, fates: list[Fate]) -> None:
    """A cut of the request itself starts no second run."""
    runs_before = len(list(runs_in(server.state.registry, Owner())))
    provider.script(ANSWER)
    async with chaos(server.url, *fates) as proxy, impatient(proxy.url) as client:
        stream = client.stream("hi", model="solo")
        events = await all_of(stream)
    assert events == logged_by(server, stream.run_id)
    assert events[-1] is stream.finished
    assert stream.last_seq == len(events)
    assert len(list(runs_in(server.state.registry, Owner()))) == runs_before + 1


async def test_after_the_last_attempt_the_error_has_the_position_and_the_run_continues(
    server: Server, provider: ScriptedProvider
) -> None:
    provider.script(ScriptedAnswer("one ", Stall()))
    told: list[ClientError] = []
    async with chaos(server.url) as proxy:
        client = StreamClient(
            proxy.url, max_reconnects=3, backoff_s=0.001, silence_timeout_s=1.0, on_reconnect=told.append
        )
        async with client:
            stream = client.stream("hi", model="solo")
            proxy.fates += [Fate(1000, "stall")] + [Fate(0, "reset")] * 4
            with pytest.raises(ConnectionLost, match="was lost") as caught:
                await all_of(stream)
            assert len(told) == 3
            assert caught.value.run_id == stream.run_id
            assert caught.value.last_seq == stream.last_seq > 0
            assert len(server.state.registry) == 1
            assert (await client.cancel(stream.run_id or "")).reason == "cancelled"
            rest = await all_of(client.attach(stream.run_id or "", after=caught.value.last_seq))
    assert isinstance(rest[-1], RunFinished)
    assert rest == logged_by(server, stream.run_id)[caught.value.last_seq :]


async def test_progress_resets_the_count_of_attempts(server: Server, provider: ScriptedProvider) -> None:
    """More cuts than `max_reconnects`, with a new event between any two."""
    provider.script(ScriptedAnswer(*(f"{number} " for number in range(40))))
    async with impatient(server.url) as direct:
        run_id = await direct.start("hi", model="solo")
        whole = await all_of(direct.attach(run_id))
    async with (
        chaos(server.url, *[Fate(1500, "reset")] * 5) as proxy,
        impatient(proxy.url, max_reconnects=1, silence_timeout_s=30) as client,
    ):
        assert await all_of(client.attach(run_id)) == whole
        assert not proxy.fates


@pytest.mark.parametrize(("heartbeat_s", "is_lost"), [(0.1, False), (10.0, True)])
async def test_a_silent_connection_is_lost_but_one_with_heartbeats_is_not(
    provider: ScriptedProvider, tmp_path: Path, heartbeat_s: float, is_lost: bool
) -> None:
    provider.script(ScriptedAnswer("one ", "two", pause_s=3.0))
    config = config_for(provider.base_url, sample_team("solo"), server=ServerConfig(heartbeat_s=heartbeat_s))
    told: list[ClientError] = []
    async with serving(config, tmp_path) as server:
        client = StreamClient(server.url, backoff_s=0.001, silence_timeout_s=1.5, on_reconnect=told.append)
        async with client:
            stream = client.stream("hi", model="solo")
            assert await all_of(stream) == logged_by(server, stream.run_id)
    assert bool(told) == is_lost


async def test_a_server_that_does_not_come_back(server: Server, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("one ", Stall()))
    async with chaos(server.url, Fate(900, "reset")) as proxy:
        lost = proxy.url
        async with impatient(lost, max_reconnects=2) as client:
            stream = client.stream("hi", model="solo")
            proxy.fates += [Fate(0, "close")] * 10
            with pytest.raises(ConnectionLost):
                await all_of(stream)
    await server.state.registry.close()
    with pytest.raises(NoServer):
        async with impatient(lost) as client:
            await all_of(client.stream("hi"))
