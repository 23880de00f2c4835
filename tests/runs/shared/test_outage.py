"""While Redis is away a process goes on by itself: what it holds then is bounded, and counts afterwards."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from aiostream_server.config.model import LimitsConfig
from aiostream_server.events import RunFinished, TokenCount
from aiostream_server.intake.principal import Owner
from aiostream_server.web.health import SHARED_RUNS
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer, running_redis
from tests.kit.scripted_provider import Gate, ScriptedAnswer
from tests.kit.serving import chat_body
from tests.kit.shared_runs import settled, sharing
from tests.kit.waiting import wait_for
from tests.runs.running import new_run
from tests.web.watching import call, start_in_background, starting, until_queued

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

pytestmark = pytest.mark.needs("redis")

OWNER = Owner("key", None)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with running_redis() as redis:
        yield redis


async def test_callers_wait_for_the_slots_of_their_process(tmp_path: Path, own_redis: RedisServer) -> None:
    """Those that waited when it went away, and those that ask later; one more is refused."""
    gates = [Gate(), Gate(), Gate()]
    answers = [ScriptedAnswer("a ", gate, "b") for gate in gates]
    runs = shared_in(own_redis.url, "t", lease_s=2.0)
    async with cluster(runs, tmp_path, *answers, count=1, max_runs=1, queue_size=2) as (here,):
        waiting = []
        async with starting(here.url, "first", model="solo") as first:
            await first.until(3)
            waiting.append(asyncio.create_task(start_in_background(here.url, "second", model="solo")))
            await until_queued(here, 1)
            own_redis.kill()
            waiting.append(asyncio.create_task(start_in_background(here.url, "third", model="solo")))
            await until_queued(here, 2)
            async with starting(here.url, "fourth", model="solo") as refused:
                assert refused.response.status == 429
            gates[0].open()
            await first.read_all()
        second = await waiting[0]
        assert not waiting[1].done()
        own_redis.start()
        await wait_for(lambda: own_redis.command("hkeys", "{t}:slots") == second["id"], "its slot is counted")
        await wait_for(lambda: own_redis.command("zcard", "{t}:queue") == "1", "the other waits in Redis")
        gates[1].open()
        third = await waiting[1]
        await wait_for(lambda: own_redis.command("hkeys", "{t}:slots") == third["id"], "the slot is the other's")
        gates[2].open()
        await wait_for(lambda: not own_redis.command("keys", "{t}:slots*"), "no slot is left")


async def test_no_run_begins_in_a_server_that_ends_meanwhile(tmp_path: Path, own_redis: RedisServer) -> None:
    """Its question waited for an answer of Redis, which is silent: it would have been served without."""
    async with cluster(shared_in(own_redis.url, "t", lease_s=60.0), tmp_path, ScriptedAnswer("a"), count=1) as (here,):
        own_redis.signal(signal.SIGSTOP)
        body = chat_body("hi", model="solo")
        asking = asyncio.create_task(call("POST", f"{here.url}/v1/runs", json=body))
        shared = cast("SharedRuns", here.runner.app[SHARED_RUNS])
        await wait_for(lambda: shared.admission.calls._asking, "a question that waits for Redis")
        await here.state.registry.close()
        status, answer = await asking
        own_redis.signal(signal.SIGCONT)
        assert (status, answer["error"]["code"]) == (503, "shutting_down")
        assert not here.state.registry.ended


async def test_places_that_were_given_up_meanwhile_are_free_afterwards(own_redis: RedisServer) -> None:
    """Redis kept its data, and knows of them."""
    limits = LimitsConfig(max_runs=1, queue_size=1)
    async with sharing(own_redis.url, "t", limits, lease_s=2.0) as node:
        await node.admission.enter(OWNER, "held")
        waiting = asyncio.create_task(node.admission.enter(OWNER, "waits"))
        await wait_for(lambda: own_redis.command("zcard", "{t}:queue") == "1", "the caller waits")
        assert own_redis.command("save") == "OK"
        own_redis.kill()
        await wait_for(lambda: not node.is_available, "the outage")
        waiting.cancel()
        node.admission.leave("held")
        own_redis.start()
        await wait_for(lambda: node.is_available, "its end")
        await settled(node)
        assert not own_redis.command("keys", "{t}:slots*")
        assert not own_redis.command("keys", "{t}:queue*")


async def test_runs_that_are_kept_no_longer_take_no_memory(own_redis: RedisServer) -> None:
    """Redis has never known them."""
    limits = LimitsConfig(retained_bytes=10_000)
    async with sharing(own_redis.url, "t", limits, lease_s=2.0) as node:
        own_redis.kill()
        await wait_for(lambda: not node.is_available, "the outage")
        for number in range(50):
            run = new_run(f"run-{number}")
            await node.directory.put(run)
            run.finished = RunFinished("stop", TokenCount(), 1.0)
            run.log.append(run.finished)
            node.directory.finish(run)
        kept = len(await node.directory._here.list(run.owner, 50))
        assert len(node.owned) == kept < 10
        own_redis.start()
        await wait_for(lambda: own_redis.command("hget", f"{{t}}:run:{run.id}", "finished") == "1", "the last one")
        assert int(own_redis.command("zcard", own_redis.command("keys", "{t}:of:*"))) == kept
