"""The event loop's lag and the queue's length: measured, shown, and told once when they are too high."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.service.event_loop import Alarm, LagMeter
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, get_json
from tests.service.stopping import stoppable


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


async def test_lag_is_how_late_the_loop_comes() -> None:
    meter = LagMeter()
    assert (meter.last_s, meter.max_s) == (0.0, 0.0)
    asyncio.get_running_loop().call_later(0.05, time.sleep, 0.35)
    assert 0.15 < await meter.measure() < 0.35
    await meter.measure()
    assert meter.last_s < 0.15 < meter.max_s


def test_an_alarm_rings_again_only_after_calm() -> None:
    """`high` itself is not too high; a dip to half of it is no calm, nor is a short one."""
    alarm = Alarm(10, calm_s=5)
    readings = [(0, 10), (1, 11), (2, 12), (3, 4), (7, 11), (8, 4), (9, 4), (13, 4), (14, 12), (15, 12)]
    assert [now for now, reading in readings if alarm.rings(reading, now)] == [1, 14]


@given(st.lists(st.floats(0, 100), max_size=200))
def test_two_rings_have_calm_between_them(readings: list[float]) -> None:
    alarm = Alarm(10, calm_s=3)
    rung = [now for now, reading in enumerate(readings) if alarm.rings(reading, now)]
    assert all(readings[now] > 10 for now in rung)
    assert bool(rung) is any(reading > 10 for reading in readings)
    for first, second in itertools.pairwise(rung):
        quiet = [reading < 5 for reading in readings[first:second]]
        assert max(len(list(run)) for is_quiet, run in itertools.groupby(quiet) if is_quiet) > 3


async def test_a_team_that_blocks_the_loop_is_seen_and_told_once(tmp_path: Path, provider: ScriptedProvider) -> None:
    async with stoppable(tmp_path, provider) as server:
        calm = await get_json(f"{server.url}/readyz")
        for _ in range(2):
            await ask(server.url, "hi", model="stumbling")
            await asyncio.sleep(0.3)
        ready = await get_json(f"{server.url}/readyz")
        server.process.terminate()
        assert await server.end() == 0
    assert calm["loop_lag_max_s"] < 0.1 < ready["loop_lag_max_s"] < 1
    assert ready["loop_lag_s"] <= ready["loop_lag_max_s"]
    (told,) = server.named("event_loop_lags")
    assert told["level"] == "warning"
    assert told["lag_s"] > 0.1


async def test_a_queue_that_fills_is_seen_and_told_once(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(lambda _: ScriptedAnswer("a ", Stall()))
    limits = "max_runs = 1\nqueue_size = 4"
    async with stoppable(tmp_path, provider, limits=limits) as server, asking(server.url, "hi", model="solo") as first:
        await anext(first.pieces())
        waiting = [asyncio.create_task(ask(server.url, "hi", model="solo")) for _ in range(3)]
        await asyncio.sleep(1.0)
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/readyz") as response:
            ready = await response.json()
        for asked in waiting:
            asked.cancel()
        await asyncio.wait(waiting)
    assert (ready["live_runs"], ready["viewers"], ready["queued"]) == (1, 1, 3)
    (told,) = server.named("queue_fills")
    assert (told["level"], told["queued"], told["queue_size"]) == ("warning", 3, 4)
