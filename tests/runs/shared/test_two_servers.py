"""Two servers that share runs: every client sees the same from each of them, wherever the run is driven."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.client import ClientError, StreamClient
from aiostream_server.config.model import RunsConfig
from aiostream_server.events import Event, Token
from tests.kit.cluster import cluster, shared_in
from tests.kit.process import free_port
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, Pause, ScriptedAnswer, Stall
from tests.kit.serving import ask, until_idle
from tests.kit.waiting import wait_for
from tests.web.watching import WORDS, call, cancel, start_in_background, starting, watch_all, watching

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
def runs(shared_redis: RedisServer, redis_prefix: str) -> RunsConfig:
    return shared_in(shared_redis.url, redis_prefix)


async def test_a_viewer_elsewhere_gets_the_same_bytes_live(tmp_path: Path, runs: RunsConfig) -> None:
    """From the beginning, from the middle, and past what is written yet."""
    gates = [Gate() for _ in WORDS]
    script = [piece for pair in zip(WORDS, gates, strict=True) for piece in pair]
    async with cluster(runs, tmp_path, ScriptedAnswer(*script)) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        viewers = [
            asyncio.create_task(watch_all(url, run["id"], after))
            for url in (here.url, there.url)
            for after in (0, 3, 9)
        ]
        await wait_for(
            lambda: here.state.registry.viewers == 4, "three viewers here, and one that stands for those there"
        )
        for gate in gates:
            gate.open()
            await asyncio.sleep(0.005)
        views = await asyncio.gather(*viewers)
    for local, remote in zip(views[:3], views[3:], strict=True):
        assert remote.raw == local.raw
        assert remote.numbers == list(range(remote.numbers[0], len(views[0].seen) + 1))
    assert views[3].text == "".join(WORDS)


async def test_a_finished_run_is_read_elsewhere_also_when_its_server_is_gone(tmp_path: Path, runs: RunsConfig) -> None:
    async with cluster(runs, tmp_path, ScriptedAnswer(*WORDS), count=1) as (there,):
        async with cluster(runs, tmp_path, ScriptedAnswer(*WORDS), count=1) as (here,):
            answer = await ask(here.url, "hi", model="solo")
            local = await watch_all(here.url, answer.run_id)
            _, card = await call("GET", f"{here.url}/v1/runs/{answer.run_id}")
        for after in (0, 5):
            remote = await watch_all(there.url, answer.run_id, after)
            assert remote.numbers == local.numbers[after:]
            assert remote.seen == local.seen[after:]
        _, again = await call("GET", f"{there.url}/v1/runs/{answer.run_id}")
        assert {**again, "watch_url": ""} == {**card, "watch_url": ""}


async def test_a_run_is_listed_everywhere_newest_first(tmp_path: Path, runs: RunsConfig) -> None:
    async with cluster(runs, tmp_path, *[ScriptedAnswer("a")] * 6) as servers:
        ids = [(await ask(servers[number % 2].url, "hi", model="solo")).run_id for number in range(6)]
        for server in servers:
            for limit in (1, 4, 100):
                _, listed = await call("GET", f"{server.url}/v1/runs?limit={limit}")
                assert [run["id"] for run in listed["data"]] == ids[::-1][:limit]


async def test_a_run_that_has_just_started_is_found_elsewhere(tmp_path: Path, runs: RunsConfig) -> None:
    async with cluster(runs, tmp_path, *[ScriptedAnswer(Stall())] * 20) as (here, there):
        for _ in range(20):
            run = await start_in_background(here.url, "hi", model="solo")
            status, found = await call("GET", f"{there.url}/v1/runs/{run['id']}")
            assert (status, found.get("status")) == (200, "running")


async def test_cancelling_elsewhere_ends_the_run_everywhere(tmp_path: Path, runs: RunsConfig) -> None:
    async with cluster(runs, tmp_path, ScriptedAnswer("a", Stall())) as (here, there):
        async with starting(here.url, "hi", model="solo") as view, watching(there.url, view.run_id) as other:
            await view.until(2)
            await other.until(2)
            first = await cancel(there.url, view.run_id)
            assert (first["status"], first["reason"]) == ("finished", "cancelled")
            assert await cancel(there.url, view.run_id) == first
            for each in (view, other):
                assert (await each.read_all()).seen[-1].body["reason"] == "cancelled"
        await until_idle(here)


async def test_a_cancel_arrives_without_its_message(
    tmp_path: Path, runs: RunsConfig, shared_redis: RedisServer
) -> None:
    """The process that drives the run looks at what others ask for, whenever it renews its lease."""
    async with cluster(runs, tmp_path, ScriptedAnswer("a", Stall())) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        shared_redis.command("client", "kill", "type", "pubsub")
        assert (await cancel(there.url, run["id"]))["reason"] == "cancelled"


async def test_viewers_continue_when_their_messages_were_lost(
    tmp_path: Path, runs: RunsConfig, shared_redis: RedisServer
) -> None:
    gate = Gate()
    async with cluster(runs, tmp_path, ScriptedAnswer("a", gate, *WORDS)) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        async with watching(there.url, run["id"]) as view:
            await view.until(2)
            shared_redis.command("client", "kill", "type", "pubsub")
            gate.open()
            await view.read_all()
    assert view.text == "a" + "".join(WORDS)
    assert view.numbers == list(range(1, len(view.seen) + 1))


async def test_viewers_elsewhere_count(tmp_path: Path, runs: RunsConfig) -> None:
    """A run that is to be cancelled lives as long as it is watched anywhere, and no longer."""
    asked: dict[str, Any] = {"model": "solo", "on_disconnect": "cancel"}
    async with cluster(runs, tmp_path, *[ScriptedAnswer("a", Stall())] * 2) as (here, there):
        async with AsyncExitStack() as elsewhere:
            async with starting(here.url, "hi", **asked) as first:
                await first.until(2)
                second = await elsewhere.enter_async_context(watching(there.url, first.run_id))
                await second.until(1)
                await wait_for(lambda: here.state.registry.viewers == 2, "the viewer there is known here")
            await wait_for(lambda: here.state.registry.viewers == 1, "the viewer here is gone")
            await asyncio.sleep(0.1)
            assert len(here.state.registry) == 1
        await until_idle(here)

        async def reason() -> Any:
            return (await call("GET", f"{there.url}/v1/runs/{first.run_id}"))[1]["reason"]

        assert await wait_for(reason) == "cancelled"


async def test_a_stranger_finds_nothing_elsewhere(tmp_path: Path, runs: RunsConfig) -> None:
    ann, bob = {"X-User-ID": "ann"}, {"X-User-ID": "bob"}
    async with cluster(runs, tmp_path, ScriptedAnswer("a")) as (here, there):
        answer = await ask(here.url, "hi", model="solo", headers=ann)
        path = f"{there.url}/v1/runs/{answer.run_id}"
        assert (await call("GET", path, headers=ann))[0] == 200
        assert (await call("GET", path, headers=bob))[0] == 404
        assert (await call("GET", f"{there.url}/v1/runs", headers=bob))[1]["data"] == []


async def test_a_run_past_its_retention_is_gone_everywhere(tmp_path: Path, runs: RunsConfig) -> None:
    async with cluster(runs, tmp_path, ScriptedAnswer("a"), retention_s=0.2) as (here, there):
        answer = await ask(here.url, "hi", model="solo")

        async def status() -> bool:
            return (await call("GET", f"{there.url}/v1/runs/{answer.run_id}"))[0] == 410

        await wait_for(status, "the run to expire")


async def test_a_long_run_is_read_elsewhere_at_the_readers_pace(tmp_path: Path, runs: RunsConfig) -> None:
    """Thousands of tokens at once: more numbers than are reserved ahead, and more than a mirror holds."""
    words = ["x" * 300] * 5_000
    gate = Gate()
    async with cluster(runs, tmp_path, ScriptedAnswer("a", gate, *words)) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        viewer = asyncio.create_task(watch_all(there.url, run["id"]))
        await wait_for(lambda: here.state.registry.viewers == 1)
        gate.open()
        view = await viewer
    assert view.numbers == list(range(1, len(view.seen) + 1))
    assert len(view.text) == 1 + 300 * 5_000


async def test_tokens_come_elsewhere_one_by_one(tmp_path: Path, runs: RunsConfig) -> None:
    """A viewer there does not wait for the next write of all runs."""
    pieces = [piece for number in range(30) for piece in (f"w{number} ", Pause(0.03))]
    arrived: list[float] = []
    async with (
        cluster(runs, tmp_path, ScriptedAnswer(*pieces)) as (here, there),
        starting(here.url, "hi", model="solo") as view,
        watching(there.url, view.run_id) as other,
    ):
        async for event in other.events():
            if event.kind == "token":
                arrived += [asyncio.get_running_loop().time()]
    waits = sorted(after - before for before, after in pairwise(arrived))
    assert len(arrived) == 30
    assert waits[len(waits) // 2] > 0.015, "most tokens have come apart from each other"


async def test_the_client_goes_on_at_another_server(tmp_path: Path, runs: RunsConfig) -> None:
    """Of several that it knows: past one that is not there, and away from one that stops."""
    gate, errors = Gate(), list[ClientError]()
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with cluster(runs, tmp_path, ScriptedAnswer(*WORDS[:4], gate, *WORDS[4:])) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        urls = [nowhere, f"{there.url}/v1", here.url]
        async with StreamClient(urls, backoff_s=0.01, on_reconnect=errors.append) as client:
            stream, heard = client.attach(run["id"]), list[Event]()
            async for event in stream:
                heard.append(event)
                if stream.last_seq == 4:
                    await there.runner.cleanup()
                    gate.open()
            assert [info.id for info in await client.runs()] == [run["id"]]
    assert stream.finished is not None
    assert stream.finished.reason == "stop"
    assert "".join(event.content for event in heard if isinstance(event, Token)) == "".join(WORDS)
    assert len(errors) == 1
