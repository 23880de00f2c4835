"""A team that blocks the event loop is told, with its agent and tool, each time; a loop that is only busy is not."""

import asyncio
import ctypes
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from aiostream_server.service.executor import Executor
from aiostream_server.service.loop_watchdog import watching_the_loop
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask
from tests.kit.waiting import wait_for
from tests.service.stopping import stoppable


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_who_blocks_the_loop_is_told_each_time(tmp_path: Path, loop: str) -> None:
    """A team of its own, twice within a second; a tool; and a tool's thread and an agent that hold Python's lock."""
    async with (
        ScriptedProvider() as provider,
        stoppable(tmp_path, provider, loop=loop, log_level='"debug"') as server,
    ):

        async def block(*teams: str) -> None:
            for team in teams:
                if team in ("blocking-tool", "holding-tool"):
                    provider.script(ScriptedAnswer(Call("look_up")), ScriptedAnswer("done"))
                await ask(server.url, "hi", model=team)

        async def all_are_told() -> bool:
            told = {line["team"] for line in server.named("event_loop_blocked")}
            await block(*{"blocking-tool", "holding-tool", "blocking-agent"} - told)  # a busy machine may miss one
            return told >= {"stumbling", "blocking-tool", "holding-tool", "blocking-agent"}

        await block("stumbling", "stumbling", "blocking-tool", "holding-tool", "blocking-agent")
        await wait_for(all_are_told, "all that block", every_s=1.0)
        stacks = await server.until_logged("event_loop_blocked_at", 2)  # a busy machine may miss one
        server.process.terminate()
        assert await server.end() == 0
    runs = {line["run_id"]: line["team"] for line in server.named("run_finished")}
    told = [line for line in server.named("event_loop_blocked") if line["team"] is not None]
    assert all(runs[line["run_id"]] == line["team"] for line in told)
    assert [line["team"] for line in told].count("stumbling") >= 2
    who = {line["team"]: (line["agent"], line["tool"]) for line in told}
    assert who["stumbling"] == (None, None)
    assert who["blocking-tool"] == ("Worker", "look_up")
    assert who["holding-tool"] == ("Worker", "look_up")
    assert who["blocking-agent"] == ("Busy_Bee", None)
    longest = {team: max(line["blocked_s"] for line in told if line["team"] == team) for team in who}
    assert longest["stumbling"] > 0.2
    assert longest["blocking-tool"] > 0.3
    place_of = {line["team"]: line["place"] for line in told}
    assert place_of["blocking-tool"].endswith(" _block_in_a_tool")
    assert "tests/service/teams.py" in place_of["blocking-tool"]
    by_run = {line["run_id"]: line["stack"] for line in stacks if line["run_id"] is not None}
    stumbled = next(stack for run, stack in by_run.items() if runs[run] == "stumbling")
    assert any(frame.endswith(" BlocksTheLoop.run") for frame in stumbled)


async def _told(until: float, work: Any) -> list[Any]:
    before = structlog.get_config()
    structlog.reset_defaults()
    try:
        with capture_logs() as lines, watching_the_loop():
            await work()
            await asyncio.sleep(until)
    finally:
        structlog.configure(**before)
    return [line for line in lines if line["event"] == "event_loop_blocked"]


async def test_many_short_steps_are_nobodys_block() -> None:
    async def work() -> None:
        async def step() -> None:
            time.sleep(0.005)  # noqa: ASYNC251 - a short step

        for _ in range(2):
            await asyncio.gather(*(step() for _ in range(80)))

    assert await _told(0.2, work) == []


async def test_a_callback_without_a_task_is_told_by_its_place() -> None:
    def blocks() -> None:
        time.sleep(0.4)

    async def work() -> None:
        asyncio.get_running_loop().call_soon(blocks)
        await asyncio.sleep(0.1)

    (told,) = (line for line in await _told(0.2, work) if line["place"].endswith("blocks"))  # a busy machine has others
    assert (told["team"], told["agent"], told["tool"]) == (None, None, None)
    assert told["is_over"]
    assert told["blocked_s"] > 0.2


async def _first_told(work: Any, *places: str) -> list[Any]:
    """The lines about these places, the first of each; on a busy machine from several attempts."""
    found: dict[str, Any] = {}
    for _ in range(10):
        for line in await _told(0.2, work):
            name = next((each for each in places if line["place"].endswith(each)), None)
            if name is not None:
                found.setdefault(name, line)
        if len(found) == len(places):
            return [found[each] for each in places]
    raise AssertionError(f"told of {sorted(found)} only")


async def test_each_of_two_steps_that_block_one_after_the_other_is_told() -> None:
    async def first() -> None:
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is told

    async def second() -> None:
        time.sleep(0.5)  # noqa: ASYNC251

    async def both() -> None:
        await asyncio.gather(first(), second())

    one, other = await _first_told(both, ".<locals>.first", ".<locals>.second")
    assert 0.1 < one["blocked_s"] < other["blocked_s"]


async def test_one_call_that_holds_pythons_lock_is_told() -> None:
    """The watching thread sees nothing before the call returns, and the step may end right behind it."""

    async def computes() -> None:
        sum(range(30_000_000))

    async def waits() -> None:
        ctypes.PyDLL(None).usleep(400_000)

    async def both() -> None:
        for work in (computes(), waits()):
            await asyncio.create_task(work)
            await asyncio.sleep(0.1)

    computed, waited = await _first_told(both, ".<locals>.computes", ".<locals>.waits")
    assert computed["blocked_s"] > 0.1
    assert waited["blocked_s"] > 0.2


async def test_a_thread_that_holds_pythons_lock_is_told() -> None:
    def computes() -> None:
        sum(range(60_000_000))

    async def work() -> None:
        with Executor() as executor:
            await asyncio.get_running_loop().run_in_executor(executor, computes)

    (told,) = await _first_told(work, ".<locals>.computes")
    assert told["blocked_s"] > 0.1


async def test_a_thread_that_only_works_is_nobodys_block() -> None:
    def works() -> None:
        ends_at = time.thread_time() + 0.3
        while time.thread_time() < ends_at:
            pass

    async def work() -> None:
        with Executor() as executor:
            await asyncio.get_running_loop().run_in_executor(executor, works)

    assert [line for line in await _told(0.2, work) if line["place"].endswith("works")] == []


async def test_a_long_block_is_told_before_it_ends_and_a_flood_of_blocks_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiostream_server.service.loop_watchdog._LONG_S", 0.3)
    monkeypatch.setattr("aiostream_server.service.loop_watchdog._MOST_LINES", 3)

    async def work() -> None:
        time.sleep(0.8)  # noqa: ASYNC251 - that is what is told
        for _ in range(4):
            await asyncio.sleep(0.1)
            time.sleep(0.25)  # noqa: ASYNC251

    told = await _told(0.3, work)
    assert [line["is_over"] for line in told] == [False, True, True]
    assert told[0]["blocked_s"] < told[1]["blocked_s"]
