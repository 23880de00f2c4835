"""The event loop's lag and the queue's length: measured, shown, and told once when they are too high."""

import asyncio
import itertools
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.service.event_loop import Alarm, LagMeter
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, get_json
from tests.service.stopping import stoppable, until_ready_says


async def test_lag_is_how_late_the_loop_comes() -> None:
    meter = LagMeter()
    assert (meter.last_s, meter.max_s) == (0.0, 0.0)
    asyncio.get_running_loop().call_later(0.05, time.sleep, 0.35)
    first = await meter.measure()
    assert first > 0.15
    second = await meter.measure()
    assert (meter.last_s, meter.max_s) == (second, max(first, second))


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


async def test_a_team_that_blocks_the_loop_is_seen_and_logged(tmp_path: Path, provider: ScriptedProvider) -> None:
    async with stoppable(tmp_path, provider) as server:
        calm = await get_json(f"{server.url}/readyz")
        for _ in range(2):
            await ask(server.url, "hi", model="stumbling")
        told = (await server.until_logged("event_loop_lags"))[0]
        ready = await get_json(f"{server.url}/readyz")
        server.process.terminate()
        assert await server.end() == 0
    assert ready["loop_lag_max_s"] >= max(calm["loop_lag_max_s"], 0.1)
    assert ready["loop_lag_s"] <= ready["loop_lag_max_s"]
    assert told["level"] == "warning"
    assert told["lag_s"] > 0.1


async def test_a_queue_that_fills_is_shown_and_logged_once(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(lambda _: ScriptedAnswer("a ", Stall()))
    limits = "max_runs = 1\nqueue_size = 4\nqueue_timeout_s = 600.0"
    async with stoppable(tmp_path, provider, limits=limits) as server, asking(server.url, "hi", model="solo") as first:
        await anext(first.pieces())
        waiting = [asyncio.create_task(ask(server.url, "hi", model="solo")) for _ in range(3)]
        await until_ready_says(server, live_runs=1, viewers=1, queued=3)
        await server.until_logged("queue_fills")
        for asked in waiting:
            asked.cancel()
        await asyncio.wait(waiting)
    (told,) = server.named("queue_fills")
    assert (told["level"], told["queued"], told["queue_size"]) == ("warning", 3, 4)
