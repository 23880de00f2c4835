"""`[server] workers`: several processes on one socket, and a parent that supervises them."""

import asyncio
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.service.workers.share import ConnectionCounts
from aiostream_server.service.workers.supervisor import RestartBackoff
from tests.kit.process import ServerProcess, is_running, start, start_afresh, until_gone
from tests.kit.scripted_provider import Pause, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, chat_body
from tests.kit.waiting import DEADLINE_S, wait_for
from tests.service.manager import manager
from tests.service.stopping import NOISE_S, stoppable


def pids(server: ServerProcess) -> list[int]:
    """The latest of each worker."""
    return list({line["worker"]: line["pid"] for line in server.named("worker_started")}.values())


async def test_each_worker_gets_its_share_of_40_streams_and_a_signal_ends_all_of_them_well(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    provider.script(lambda _: ScriptedAnswer("a ", Stall()))
    async with stoppable(tmp_path, provider, workers=2, drain_s=0.3) as server, AsyncExitStack() as stack:
        streams = (stack.enter_async_context(asking(server.url, "hi", model="solo")) for _ in range(40))
        answers = await asyncio.gather(*streams)
        await asyncio.gather(*(anext(answer.pieces()) for answer in answers))
        stopped_at = time.monotonic()
        server.process.terminate()
        await asyncio.gather(*(answer.read_all() for answer in answers))
        assert await server.end() == 0
        assert 0.3 <= time.monotonic() - stopped_at < 1.3 + NOISE_S
    assert all(answer.done and answer.finish_reasons == ["error"] for answer in answers)
    assert [line["workers"] for line in server.named("workers_do_not_share_runs")] == [2]
    assert len(server.named("server_ready")) == 1
    shares = Counter(line["worker"] for line in server.named("run_finished"))
    assert shares.keys() == {1, 2}
    assert 10 <= shares[1] <= 30, shares  # without turns one of them gets 17 of 100 or less
    assert [line["status"] for line in server.named("worker_ended")] == [0, 0]
    assert not any(map(is_running, pids(server)))


async def test_workers_are_replaced_without_a_failed_request_and_end_with_their_parent(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    """Then workers finish what they were asked, and none stays behind."""
    provider.script(lambda _: ScriptedAnswer("a ", Pause(0.5), "b"))
    async with stoppable(tmp_path, provider, loop="asyncio", workers=2, drain_s=20) as server:
        await _check_a_run_is_known_to_one(server.url)
        first, second = pids(server)

        os.kill(first, signal.SIGKILL)
        (ended,) = await server.until_logged("worker_ended", 1)
        assert (ended["worker"], ended["pid"], ended["status"]) == (1, first, -signal.SIGKILL)
        assert ended["level"] == "warning"
        assert (await ask(server.url, "hi", model="solo")).done
        await server.until_logged("worker_ready", 3)

        asked = [asyncio.create_task(ask(server.url, "hi", model="solo")) for _ in range(10)]
        await provider.request(12)  # two were asked before
        os.kill(second, signal.SIGTERM)  # to make room for a fresh one
        os.kill(second, signal.SIGINT)
        answers = await asyncio.gather(*asked)
        assert all(answer.done and "a b" in answer.text for answer in answers)
        ended = (await server.until_logged("worker_ended", 2))[1]
        assert (ended["worker"], ended["status"]) == (2, 0)

        async with asking(server.url, "hi", model="solo") as answer:
            await anext(answer.pieces())
            server.process.kill()
            await answer.read_all()
            await until_gone(*(line["pid"] for line in server.named("worker_started")))
    assert answer.done
    assert "a b" in answer.text


async def test_the_parent_loads_no_module_that_serves(tmp_path: Path) -> None:
    extra = {"AIOSTREAM_SERVER__WORKERS": "2", "AIOSTREAM_SERVER__PORT": "0", "AIOSTREAM_SERVER__LOG_FORMAT": "json"}
    server = ServerProcess(await start_afresh("serve", state_directory=tmp_path, extra=extra))
    await server.until_logged("worker_ready", 2)
    process = Path(f"/proc/{server.process.pid}")
    mapped = process.joinpath("maps").read_text("utf-8")
    assert not [name for name in ("aiohttp", "msgspec", "uvloop") if f"/{name}/" in mapped]
    (rss,) = re.findall(r"VmRSS:\s+(\d+) kB", process.joinpath("status").read_text("utf-8"))
    assert int(rss) < 60 * 1024
    server.process.terminate()
    assert await server.end() == 0


async def _check_a_run_is_known_to_one(url: str) -> None:
    """The other worker answers 404, and says why."""
    answers: dict[int, Any] = {}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with session.post(f"{url}/v1/runs", json=chat_body("hi", model="solo", background=True)) as response:
            run = await response.json()

        async def both_have_answered() -> bool:
            """Ask on a new connection, which either worker may accept, and keep it: so the other gets the next."""
            session = await stack.enter_async_context(aiohttp.ClientSession())
            async with session.get(f"{url}/v1/runs/{run['id']}") as response:
                answers[response.status] = await response.json()
            return answers.keys() == {200, 404}

        await wait_for(both_have_answered, "answers of both workers")
    assert "perhaps another worker has it" in answers[404]["error"]["message"]


@asynccontextmanager
async def tiny(kind: str, *, stop_within_s: float = 0.2, **extra: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A parent of two workers that serve nothing."""
    command = (sys.executable, "-m", "tests.service.tiny_parent", kind, str(stop_within_s))
    environment = {**os.environ, **extra}
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()  # its workers hold the pipe until the last one has ended


async def read(process: asyncio.subprocess.Process) -> list[str]:
    """The output of the parent and its workers, to the end of all of them."""
    output, _ = await process.communicate()
    return output.decode().splitlines()


async def until_said(process: asyncio.subprocess.Process, words: bytes, times: int = 1) -> list[bytes]:
    assert process.stdout is not None
    lines: list[bytes] = []
    while sum(words in line for line in lines) < times:
        lines.append(await process.stdout.readuntil(b"\n"))
    return lines


async def test_a_problem_of_every_worker_is_printed_once() -> None:
    async with tiny("refuses") as process:
        lines = await read(process)
    assert process.returncode == 1
    assert [line for line in lines if "thing" in line or "another" in line] == ["one thing is wrong", "and another"]


async def test_a_worker_that_dies_at_the_start_ends_them_all() -> None:
    async with tiny("dies") as process:
        lines = await read(process)
    assert process.returncode == 1
    assert lines[-1].endswith("before it was ready, with status 7")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_all_at_once(number: signal.Signals, tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as heard:
        async with tiny("deaf", stop_within_s=30.0, NOTIFY_SOCKET=heard.address) as process:
            await until_said(process, b"ready\n")
            process.send_signal(number)
            await heard.until(lambda message: "STOPPING" in message)
            assert process.returncode is None
            stopped_at = time.monotonic()
            process.send_signal(number)
            await read(process)
            assert time.monotonic() - stopped_at < NOISE_S
    assert process.returncode == 130


async def test_a_worker_that_does_not_end_in_time_is_killed() -> None:
    async with tiny("deaf") as process:
        await until_said(process, b"ready\n")
        stopped_at = time.monotonic()
        process.terminate()
        await read(process)
        assert 1.2 <= time.monotonic() - stopped_at < 1.2 + NOISE_S
    assert process.returncode == 0


async def test_the_restarts_of_a_short_lived_worker_back_off() -> None:
    """The first time after half a second, then after another second. It ends once all were ready: before, that would
    end the start."""
    async with tiny("idle") as process:
        lines = await until_said(process, b"ready\n")
        began_at = time.monotonic()
        for _ in range(2):
            started = next(line for line in reversed(lines) if b"worker_started" in line)
            os.kill(int(started.partition(b"pid=")[2].split()[0]), signal.SIGKILL)
            lines = await until_said(process, b"worker_started")
        assert time.monotonic() - began_at >= 1.5


async def test_check_says_what_several_workers_mean(tmp_path: Path) -> None:
    process = await start("check", state_directory=tmp_path, extra={"AIOSTREAM_SERVER__WORKERS": "4"})
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert b"note      4 workers do not share runs: each worker has its own runs" in output


async def test_a_number_of_workers_is_positive(tmp_path: Path) -> None:
    process = await start("serve", state_directory=tmp_path, extra={"AIOSTREAM_SERVER__WORKERS": "0"})
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"AIOSTREAM_SERVER__WORKERS" in errors


@given(st.lists(st.floats(0, 200), max_size=30))
def test_a_worker_is_never_restarted_in_a_loop(lives: list[float]) -> None:
    """The delay grows while workers are short-lived, to at most half a minute."""
    backoff = RestartBackoff()
    delays = [backoff.delay_after(lived_s) for lived_s in lives]
    assert all(0.5 <= delay <= 30 for delay in delays)
    for before, delay, lived_s in zip(delays, delays[1:], lives[1:], strict=False):
        assert delay == (0.5 if lived_s >= 60 else min(2 * before, 30.0))


def test_a_worker_that_is_away_counts_as_the_busiest() -> None:
    counts = ConnectionCounts.create(3)
    seen_by_another = ConnectionCounts(counts.descriptor)
    assert [counts.excess(worker) for worker in (1, 2, 3)] == [0, 0, 0]
    counts.set(2, 5)
    seen_by_another.set(1, 4)
    assert [counts.excess(worker) for worker in (1, 2)] == [0, 1]
    assert counts.excess(3) > 2**60
    counts.leave(1)
    assert seen_by_another.excess(2) == 0
