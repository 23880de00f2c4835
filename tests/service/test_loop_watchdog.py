"""A team that blocks the event loop is told, with its agent and tool, each time; a loop that is only busy is not."""

import asyncio
import ctypes
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from aiostream_server.service.executor import Executor
from aiostream_server.service.loop_watchdog import watching_the_loop
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask
from tests.kit.waiting import DEADLINE_S, wait_for
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
            lines = server.named("event_loop_blocked")
            told = Counter(line["team"] for line in lines if line["blocked_s"] > least_s.get(line["team"], 0.0))
            missed = times - told  # a busy machine may miss one, or its beginning
            await block(*missed)
            return not missed

        least_s = {"stumbling": 0.2, "blocking-tool": 0.3}
        times = Counter({"stumbling": 2, "blocking-tool": 1, "holding-tool": 1, "blocking-agent": 1})
        await block(*times.elements())
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
    place_of = {line["team"]: line["place"] for line in told}
    assert place_of["blocking-tool"].endswith(" _block_in_a_tool")
    assert "tests/service/teams.py" in place_of["blocking-tool"]
    by_run = {line["run_id"]: line["frames"] for line in stacks if line["run_id"] is not None}
    stumbled = next(stack for run, stack in by_run.items() if runs[run] == "stumbling")
    assert any(frame.endswith(" BlocksTheLoop.run") for frame in stumbled)


async def _told(work: Callable[[Callable[[], list[Any]]], Awaitable[None]]) -> list[Any]:
    """What is logged until the loop lives on after `work`, which is given what was logged so far."""
    before = structlog.get_config()
    structlog.reset_defaults()
    try:
        with capture_logs() as lines, watching_the_loop():

            def told() -> list[Any]:
                return [line for line in lines if line["event"] == "event_loop_blocked"]

            await work(told)
            await asyncio.sleep(0.3)
            return told()
    finally:
        structlog.configure(**before)


async def test_blocks_are_told_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    """With their stacks, at debug level: the thread that tells them goes on."""
    before, printed = structlog.get_config(), ""
    structlog.reset_defaults()
    try:
        with watching_the_loop():
            async with asyncio.timeout(DEADLINE_S):
                while printed.count("event_loop_blocked_at") < 2:
                    time.sleep(0.4)  # noqa: ASYNC251 - blocks
                    await asyncio.sleep(0.1)
                    printed += capsys.readouterr().out
    finally:
        structlog.configure(**before)
    assert __file__.rpartition("/")[2] in printed


async def test_many_short_steps_are_nobodys_block() -> None:
    async def work(_: object) -> None:
        async def step() -> None:
            time.sleep(0.005)  # noqa: ASYNC251 - a short step

        for _ in range(2):
            await asyncio.gather(*(step() for _ in range(80)))

    assert await _told(work) == []


async def test_a_callback_without_a_task_is_told_by_its_place() -> None:
    def blocks() -> None:
        time.sleep(0.4)

    def of_it(lines: list[Any]) -> list[Any]:  # a busy machine has others
        return [line for line in lines if line["place"].endswith("blocks")]

    async def work(told: Callable[[], list[Any]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not of_it(told()):  # the watchdog may get no processor meanwhile
                asyncio.get_running_loop().call_soon(blocks)
                await asyncio.sleep(0.1)

    told, *_ = of_it(await _told(work))
    assert (told["team"], told["agent"], told["tool"]) == (None, None, None)
    assert told["is_over"]
    assert told["blocked_s"] > 0.2


async def _first_told(block: Callable[[], Awaitable[None]], *places: str) -> list[Any]:
    """The first line about each of these places."""

    def found(lines: list[Any]) -> list[Any]:
        firsts = (next((line for line in lines if line["place"].endswith(place)), None) for place in places)
        return [line for line in firsts if line is not None]

    async def work(told: Callable[[], list[Any]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(found(told())) < len(places):  # the watchdog may get no processor meanwhile
                await block()
                await asyncio.sleep(0.1)

    return found(await _told(work))


async def test_each_of_two_steps_that_block_one_after_the_other_is_told() -> None:
    async def first() -> None:
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is told

    async def second() -> None:
        time.sleep(0.5)  # noqa: ASYNC251

    async def both() -> None:
        await asyncio.gather(first(), second())

    one, other = await _first_told(both, ".<locals>.first", ".<locals>.second")
    assert one["blocked_s"] > 0.1  # and on a busy machine any time more
    assert other["blocked_s"] > 0.3


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

    async def block() -> None:
        with Executor() as executor:
            await asyncio.get_running_loop().run_in_executor(executor, computes)

    (told,) = await _first_told(block, ".<locals>.computes")
    assert told["blocked_s"] > 0.1


async def test_a_thread_that_only_works_is_nobodys_block() -> None:
    def works() -> None:
        ends_at = time.thread_time() + 0.3
        while time.thread_time() < ends_at:
            pass

    async def work(_: object) -> None:
        with Executor() as executor:
            await asyncio.get_running_loop().run_in_executor(executor, works)

    assert [line for line in await _told(work) if line["place"].endswith("works")] == []


async def test_a_long_block_is_told_before_it_ends_and_a_flood_of_blocks_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiostream_server.service.loop_watchdog._LONG_S", 0.3)
    monkeypatch.setattr("aiostream_server.service.loop_watchdog._MOST_LINES", 3)

    async def work(told: Callable[[], list[Any]]) -> None:
        ends_at = time.monotonic() + DEADLINE_S
        while not told() and time.monotonic() < ends_at:
            time.sleep(0.05)  # noqa: ASYNC251 - that is what is told
        while len(told()) < 3:
            await asyncio.sleep(0.1)
            time.sleep(0.25)  # noqa: ASYNC251
        for _ in range(2):
            await asyncio.sleep(0.1)
            time.sleep(0.25)  # noqa: ASYNC251

    async with asyncio.timeout(DEADLINE_S):
        told = await _told(work)
    assert [line["is_over"] for line in told][:2] == [False, True]
    assert len(told) == 3
    assert told[0]["blocked_s"] < told[1]["blocked_s"]
