"""Processes that share runs: what the failure of one, or of Redis, does to the streams and runs of all."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.client import StreamClient
from aiostream_server.events import Dropped, Event, RunFinished
from tests.kit.cluster import LEASE_S
from tests.kit.process import serving_process
from tests.kit.redis import RedisServer, running_redis
from tests.kit.scripted_provider import Gate, Pause, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.shared_processes import processes, sharing_toml
from tests.kit.slow_proxy import slow_proxy
from tests.kit.waiting import wait_for
from tests.web.watching import View, call, cancel, start_in_background, starting, watch_all, watching

pytestmark = pytest.mark.needs("redis")


def ticking() -> ScriptedAnswer:
    """A token every 20 ms, for longer than any test lasts."""
    return ScriptedAnswer(*(piece for number in range(2_000) for piece in (f"{number} ", Pause(0.02))))


async def reading(view: View) -> None:
    """Read until the stream ends or breaks off."""
    with suppress(aiohttp.ClientError):
        await view.read_all()


async def test_the_runs_of_a_killed_process_end_well_elsewhere(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """Their viewers elsewhere get the end, and those that resume elsewhere the rest; no number has two meanings."""
    provider.script(lambda _: ticking())
    async with processes(sharing_toml(shared_redis.url, provider, redis_prefix), tmp_path) as (here, there):
        async with AsyncExitStack() as stack:
            runs = [await stack.enter_async_context(starting(here.url, "hi", model="solo")) for _ in range(10)]
            others = [await stack.enter_async_context(watching(there.url, run.run_id)) for run in runs]
            readers = [asyncio.create_task(reading(view)) for view in (*runs, *others)]
            await wait_for(lambda: all(len(view.seen) > 30 for view in (*runs, *others)), "events everywhere")
            here.process.kill()
            killed_at = asyncio.get_running_loop().time()
            await asyncio.gather(*readers)
            took_s = asyncio.get_running_loop().time() - killed_at
        for local, remote in zip(runs, others, strict=True):
            resumed = await watch_all(there.url, local.run_id, local.seen[-1].number)
            for view in (remote, resumed):
                assert view.seen[-1].body["reason"] == "interrupted"
            shown = {event.number: event.raw for event in local.seen}
            assert all(shown[each.number] == each.raw for each in remote.seen if each.number in shown)
            *_, dropped, end = remote.seen
            assert (dropped.kind, end.number) == ("dropped", dropped.number + 1)
            assert dropped.body["first"] == remote.seen[-3].number + 1
            assert end.number > local.seen[-1].number
            lost = local.seen[-1].number - remote.seen[-3].number
            assert lost <= 15, "at most the last 200 ms"
            assert resumed.seen[-1].raw == end.raw
            _, card = await call("GET", f"{there.url}/v1/runs/{local.run_id}")
            assert (card["status"], card["reason"], card["last_seq"]) == ("finished", "interrupted", end.number)
    assert [line["runs"] for line in there.named("runs_taken_over")] == [10]
    assert took_s < 1.25 * LEASE_S + 2, "and the machine may be busy"


async def test_what_a_killed_process_held_is_free_again(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """Its slots, its place in the queue, the turn of a conversation, and an idempotency key that it was using."""
    provider.script(lambda _: ScriptedAnswer("a", Stall()))
    config = (
        sharing_toml(shared_redis.url, provider, redis_prefix)
        + "[limits]\nmax_runs = 2\nqueue_size = 2\nqueue_timeout_s = 50.0\n"
    )
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk", "headers": {"Idempotency-Key": "k"}}
    async with processes(config, tmp_path) as (here, there), AsyncExitStack() as stack:
        runs = [await stack.enter_async_context(starting(here.url, "hi", **asked))]
        runs.append(await stack.enter_async_context(starting(here.url, "hi", model="solo")))
        for run in runs:
            await run.until(2)
        queued = asyncio.create_task(start_in_background(here.url, "hi", model="solo"))
        waiting = asyncio.create_task(start_in_background(there.url, "hi", model="solo", conversation="talk"))
        await wait_for(lambda: shared_redis.command("zcard", f"{{{redis_prefix}}}:queue") == "2")
        here.process.kill()
        started = await waiting
        await asyncio.wait({queued})
        assert queued.exception() is not None
        async with watching(there.url, started["id"]) as view:
            async for event in view.events():
                if event.kind == "token":
                    break
        async with starting(there.url, "hi", **asked) as again:
            assert again.response.headers["Idempotent-Replayed"] == "true"
            await again.read_all()
            assert (again.run_id, again.seen[-1].body["reason"]) == (runs[0].run_id, "interrupted")
        assert shared_redis.command("hkeys", f"{{{redis_prefix}}}:slots") == started["id"]
        await cancel(there.url, started["id"])
        await wait_for(lambda: not shared_redis.command("keys", f"{{{redis_prefix}}}:slots*"), "no slot is left")


async def test_a_process_that_was_paused_for_too_long_changes_nothing_any_more(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    provider.script(lambda _: ticking())
    async with (
        processes(sharing_toml(shared_redis.url, provider, redis_prefix), tmp_path) as (here, there),
        starting(here.url, "hi", model="solo") as view,
        watching(there.url, view.run_id) as other,
    ):
        await view.until(20)
        here.process.send_signal(signal.SIGSTOP)
        await other.read_all()
        assert other.seen[-1].body["reason"] == "interrupted"
        here.process.send_signal(signal.SIGCONT)
        await view.read_all()
        assert view.seen[-1].body["reason"] == "interrupted"
        await here.until_logged("run_taken_over")
        for server in (here, there):
            again = await watch_all(server.url, view.run_id)
            assert again.seen[-1].raw == other.seen[-1].raw, "the same end everywhere"
        run = await start_in_background(here.url, "hi", model="solo")  # it serves on
        assert (await cancel(there.url, run["id"]))["reason"] == "cancelled"


async def test_a_process_that_was_stopped_in_a_call_of_redis_starts_no_run_of_its_own(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """The call is late then, and Redis is not away: another process has started the run of the same key meanwhile."""
    provider.script(lambda _: ScriptedAnswer("a"))
    asked: dict[str, Any] = {"model": "solo", "headers": {"Idempotency-Key": "k"}}
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    async with slow_proxy(shared_redis.port, 0.2) as port, AsyncExitStack() as stack:
        urls = {"here": f"redis://127.0.0.1:{port}/0", "there": shared_redis.url}
        tomls = {name: sharing_toml(url, provider, redis_prefix, lease_s=2.0) for name, url in urls.items()}
        started = [await stack.enter_async_context(processes(tomls[name], tmp_path / name, 1)) for name in urls]
        here, there = (each[0] for each in started)
        asking = asyncio.create_task(start_in_background(here.url, "hi", **asked))
        await wait_for(lambda: shared_redis.command("keys", f"{{{redis_prefix}}}:start:*"), "the key in Redis")
        here.process.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        run = await start_in_background(there.url, "hi", **asked)
        await asyncio.sleep(stopped_at + 2.1 - time.monotonic())  # the time limit of the call
        here.process.send_signal(signal.SIGCONT)
        assert (await asking)["id"] == run["id"]


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """For tests that kill or pause it."""
    with running_redis() as redis:
        yield redis


async def test_streams_go_on_while_redis_is_away_and_the_log_is_whole_afterwards(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer
) -> None:
    """Killed, with all of its data, and away for longer than a lease."""
    gate, end = Gate(), Gate()
    provider.script(lambda _: ScriptedAnswer("a ", gate, "b ", end, "c"))
    async with (
        processes(sharing_toml(own_redis.url, provider), tmp_path) as (here, there),
        starting(here.url, "hi", model="solo") as view,
        watching(there.url, view.run_id) as other,
    ):
        for each in (view, other):
            await each.until(2)
        own_redis.kill()
        await here.until_logged("redis_unavailable")
        gate.open()
        await view.until(4)
        assert view.text == "a b ", "it is shown at once"
        run = f"/v1/runs/{view.run_id}"
        assert (await call("GET", f"{there.url}{run}"))[1]["error"]["code"] == "runs_unavailable"
        assert [(await call("GET", f"{url}"))[0] for url in (f"{there.url}/v1/runs", f"{here.url}{run}")] == [503, 200]
        assert (await call("GET", f"{here.url}/readyz"))[1]["shared_runs"] == "unavailable"
        await asyncio.sleep(LEASE_S * 1.5)
        own_redis.start()
        for server in (here, there):
            await server.until_logged("redis_available")
        end.open()
        for each in (view, other):
            await each.read_all()
        assert other.told == view.told
        assert (await watch_all(there.url, view.run_id)).told == view.told
        for server in (here, there):
            assert len(server.named("redis_unavailable")) == len(server.named("redis_available")) == 1
            assert not server.named("runs_taken_over")


@pytest.mark.parametrize("on_outage", ["serve", "refuse"])
async def test_new_questions_are_served_or_refused_while_redis_is_away(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer, on_outage: str
) -> None:
    """Served by the limits of each process alone; afterwards these runs are found everywhere, and their slots count."""
    gate = Gate()
    provider.script(lambda _: ScriptedAnswer("a ", gate, "b"))
    config = sharing_toml(own_redis.url, provider, on_outage=on_outage) + "[limits]\nmax_runs = 1\n"
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk", "headers": {"Idempotency-Key": "k"}}
    async with processes(config, tmp_path) as (here, there):
        own_redis.kill()
        for server in (here, there):
            await server.until_logged("redis_unavailable")
        async with starting(here.url, "hi", **asked) as view:
            if on_outage == "refuse":
                assert view.response.status == 503
                assert "runs_unavailable" in await view.response.text()
                assert view.response.headers["Retry-After"]
                return
            await view.until(2)
            async with starting(here.url, "hi", model="solo") as refused:
                assert refused.response.status == 429
            own_redis.start()
            await here.until_logged("redis_available")
            await there.until_logged("redis_available")

            async def counts() -> bool:
                return own_redis.command("hkeys", "{t}:slots") == view.run_id

            await wait_for(counts, "its slot is counted")
            async with starting(there.url, "hi", model="solo") as refused:
                assert refused.response.status == 429
            gate.open()
            await view.read_all()
        assert (await watch_all(there.url, view.run_id)).told == view.told


async def test_a_redis_that_does_not_answer_holds_up_no_stream(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer
) -> None:
    gate = Gate()
    provider.script(lambda _: ScriptedAnswer("a ", gate, "b"))
    async with processes(sharing_toml(own_redis.url, provider), tmp_path, 1) as (here,):
        async with starting(here.url, "hi", model="solo") as view:
            await view.until(2)
            own_redis.signal(signal.SIGSTOP)
            gate.open()
            await view.read_all()
            own_redis.signal(signal.SIGCONT)
        assert view.seen[-1].body["reason"] == "stop"


async def test_a_full_redis_is_an_outage(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(lambda _: ScriptedAnswer("a ", Pause(0.5), "b"))
    with running_redis("maxmemory-policy noeviction") as redis:
        async with processes(sharing_toml(redis.url, provider), tmp_path, 1) as (here,):
            redis.command("config", "set", "maxmemory", "1mb")
            (line,) = await here.until_logged("redis_unavailable")
            assert line["reason"] == "the memory of Redis is full (maxmemory)"
            async with starting(here.url, "hi", model="solo") as view:
                await view.read_all()
            assert view.text == "a b"
            redis.command("config", "set", "maxmemory", "0")
            await here.until_logged("redis_available")
            await wait_for(lambda: redis.command("exists", f"{{t}}:run:{view.run_id}") == "1", "it is written")


async def test_a_planned_stop_loses_nothing(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    gate = Gate()
    provider.script(lambda _: ScriptedAnswer("a ", gate, "b"))
    async with processes(sharing_toml(shared_redis.url, provider, redis_prefix), tmp_path) as (here, there):
        async with starting(here.url, "hi", model="solo") as view, watching(there.url, view.run_id) as other:
            await view.until(2)
            here.process.terminate()
            await here.until_logged("server_stopping")
            gate.open()
            for each in (view, other):
                await each.read_all()
            assert await here.end() == 0
        assert other.told == view.told
        assert (await watch_all(there.url, view.run_id)).told == view.told
        assert view.seen[-1].body["reason"] == "stop"
        assert shared_redis.command("zcard", f"{{{redis_prefix}}}:nodes") == "1"


async def test_workers_serve_as_one_and_the_client_continues_at_another(
    tmp_path: Path, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """Every worker finds the runs of all; when one is killed, clients get the end of its runs from the others."""
    provider.script(lambda _: ticking())
    config = sharing_toml(shared_redis.url, provider, redis_prefix).replace("[server]\n", "[server]\nworkers = 2\n")
    async with serving_process(config, tmp_path) as server, AsyncExitStack() as stack:
        client = await stack.enter_async_context(StreamClient(server.url, max_reconnects=20, backoff_s=0.05))
        heard: list[list[Event]] = [[] for _ in range(8)]

        async def listen(events: list[Event]) -> None:
            async for event in client.stream("hi", model="solo"):
                events += [event]

        listening: list[asyncio.Task[None]] = []
        for events in heard:  # one after the other, so that each worker gets its share
            listening.append(asyncio.create_task(listen(events)))
            await wait_for(partial(events.__getitem__, slice(2, None)), "the run is going on")
        for _ in range(4):  # a new connection each, so both workers are asked
            _, listed = await call("GET", f"{server.url}/v1/runs")
            assert len(listed["data"]) == 8
        os.kill(server.named("worker_started")[0]["pid"], signal.SIGKILL)
        (line,) = await server.until_logged("runs_taken_over")
        await wait_for(lambda: sum(task.done() for task in listening) >= line["runs"], "the ends of its runs")
        over = [events for events, task in zip(heard, listening, strict=True) if task.done()]
        assert len(over) == line["runs"], "those of the other worker go on"
        for *_, dropped, end in over:
            assert isinstance(dropped, Dropped)
            assert isinstance(end, RunFinished)
            assert end.reason == "interrupted"
        for task in listening:
            task.cancel()
        await asyncio.wait(listening)
        assert not server.named("workers_do_not_share_runs")
