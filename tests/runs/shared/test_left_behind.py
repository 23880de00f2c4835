"""Runs that no process drives any more are ended by one: whatever was lost on the way to Redis, or back."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from aiostream_server.log.redis.scripts import CLAIM
from aiostream_server.runs.run import Run
from aiostream_server.web.health import SHARED_RUNS
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, ScriptedAnswer
from tests.kit.serving import until_idle
from tests.kit.shared_runs import settled, sharing
from tests.kit.waiting import wait_for
from tests.runs.running import new_run
from tests.web.watching import starting, watch_all

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

pytestmark = pytest.mark.needs("redis")

LEASE_S = 0.5


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


class Store:
    """What Redis has."""

    def __init__(self, redis: RedisServer, prefix: str) -> None:
        self.redis = redis
        self.base = f"{{{prefix}}}:"

    def field(self, run: Run, name: str) -> str:
        return self.redis.command("hget", f"{self.base}run:{run.id}", name)

    async def until_written(self, run: Run) -> None:
        key = f"{self.base}run:{run.id}"
        await wait_for(lambda: self.redis.last_event(key) == run.log.committed, "what the run has said in Redis")

    async def until_ended(self, run: Run) -> None:
        await wait_for(lambda: self.field(run, "finished") == "1", "the end of the run")


@pytest.fixture
def store(shared_redis: RedisServer, redis_prefix: str) -> Store:
    return Store(shared_redis, redis_prefix)


@pytest.fixture
async def other(shared_redis: RedisServer, redis_prefix: str, stack: AsyncExitStack) -> "SharedRuns":
    return await stack.enter_async_context(sharing(shared_redis.url, redis_prefix, lease_s=LEASE_S))


async def _begun(node: "SharedRuns", store: Store, run_id: str = "run-1") -> Run:
    run = new_run(run_id)
    await node.directory.put(run)
    await store.until_written(run)
    await node.owned.written(run.id, 30)  # the answer of Redis has arrived, too
    return run


async def test_what_a_process_could_not_write_before_its_end_is_ended_by_another(
    shared_redis: RedisServer, redis_prefix: str, store: Store, other: "SharedRuns"
) -> None:
    """It was stopped while Redis was slow, or while it ended the runs of a third one."""
    async with sharing(shared_redis.url, redis_prefix, lease_s=LEASE_S) as ending:
        run = await _begun(ending, store)
    await store.until_ended(run)
    assert store.field(run, "node") == other.node
    nodes = f"{store.base}nodes"
    await wait_for(lambda: shared_redis.command("zrange", nodes, "0", "-1") == other.node, "the other is forgotten")


@pytest.mark.parametrize("again", ["the claim is sent again", "Redis is back"])
async def test_runs_are_ended_whose_claim_was_not_answered(store: Store, other: "SharedRuns", again: str) -> None:
    async with sharing(store.redis.url, store.base[1:-2], lease_s=10.0) as failed:
        run = await _begun(failed, store)
        other.takeover.begin = lambda failed: None  # type: ignore[method-assign] # no renewal claims it meanwhile
        store.redis.command("zadd", f"{store.base}nodes", "1", failed.node)
        claimed = await other.connection.run(CLAIM, failed.node, other.node, 500, 1)
        assert [run_id.decode() for run_id, *_ in claimed] == [run.id]
        if again == "Redis is back":
            other.check()
        else:
            await other.takeover._take_over(failed.node)
        await store.until_ended(run)


async def test_a_run_that_redis_has_of_older_data_is_ended(store: Store, other: "SharedRuns") -> None:
    """Its process has finished it, and does not keep it any more: it cannot be written again."""
    run = await _begun(other, store)
    other.owned.discard(run.id)
    assert not store.field(run, "finished")
    other.check()
    await store.until_ended(run)


SET_BACK = """
for _, key in ipairs({'seen', 'grace'}) do
    redis.call('SET', ARGV[1] .. key, (redis.call('GET', ARGV[1] .. key) or 0) + 3600000)
end
local nodes = redis.call('ZRANGE', ARGV[1] .. 'nodes', 0, -1)
for _, node in ipairs(nodes) do redis.call('ZINCRBY', ARGV[1] .. 'nodes', 3600000, node) end
"""


async def test_leases_end_when_the_clock_of_redis_was_set_back(store: Store, other: "SharedRuns") -> None:
    """By an hour: what was written before lies an hour ahead."""
    run, redis = await _begun(other, store), store.redis
    other.owned.discard(run.id)
    redis.command("smove", f"{store.base}node:{other.node}:runs", f"{store.base}node:killed:runs", run.id)
    redis.command("hset", f"{store.base}run:{run.id}", "node", "killed")
    redis.command("zadd", f"{store.base}nodes", str(round(time.time() * 1000)), "killed")
    redis.command("eval", SET_BACK, "0", store.base)
    await store.until_ended(run)


@pytest.mark.parametrize("call_was_late", [False, True])
async def test_a_run_that_was_taken_over_in_a_pause_has_one_end(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, call_was_late: bool
) -> None:
    """Also where all of its answer had arrived when its process went on; and where a call of Redis was under way in the
    pause, whose time is over then: Redis seems to be away for a moment."""
    gate = Gate()
    runs = shared_in(shared_redis.url, redis_prefix, lease_s=4.0 if call_was_late else 60.0)
    async with (
        cluster(runs, tmp_path, ScriptedAnswer("a", gate, "b")) as (here, there),
        starting(here.url, "hi", model="solo") as view,
    ):
        await view.until(3)
        paused, other = (cast("SharedRuns", each.runner.app[SHARED_RUNS]) for each in (here, there))
        await take_over(paused, other, shared_redis, redis_prefix)
        if call_was_late:
            paused.connection.lost(TimeoutError())
        gate.open()
        assert (await view.read_all()).seen[-1].body["reason"] == "interrupted"
        for server in (here, there):
            assert (await watch_all(server.url, view.run_id)).seen[-1].raw == view.seen[-1].raw


async def test_whoever_looks_later_at_a_run_that_was_taken_over_sees_what_others_see(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """A request that found it before, and one that repeats its idempotency key at the process that was paused."""
    asked: dict[str, Any] = {"model": "solo", "headers": {"Idempotency-Key": "k"}}
    runs = shared_in(shared_redis.url, redis_prefix, lease_s=60.0)
    async with cluster(runs, tmp_path, ScriptedAnswer("a", Gate(), "b")) as (here, there):
        async with starting(here.url, "hi", **asked) as view:
            await view.until(3)
            paused, other = (cast("SharedRuns", each.runner.app[SHARED_RUNS]) for each in (here, there))
            found = await paused.directory.find(view.run_id, None)
            await take_over(paused, other, shared_redis, redis_prefix)
            paused.check()
            await view.read_all()
        async with starting(here.url, "hi", **asked) as again:
            assert again.run_id == view.run_id
            await again.read_all()
        with found.watch(view.seen[-2].body["seq"]) as reader:
            (entry,) = await reader.read()
        await found.wait()
        assert found.card().finished == entry.event
        assert again.seen[-1].raw == view.seen[-1].raw == (await watch_all(there.url, view.run_id)).seen[-1].raw
        assert entry.seq == view.seen[-1].body["seq"]


async def test_a_turn_that_another_process_has_begun_again_keeps_its_slot_and_its_place_in_the_conversation(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """When the process that was paused ends what it has of the run."""
    gate, base = Gate(), f"{{{redis_prefix}}}:"
    runs = shared_in(shared_redis.url, redis_prefix, lease_s=60.0)
    answers = ScriptedAnswer("a", Gate(), "b"), ScriptedAnswer("c", gate)
    async with (
        cluster(runs, tmp_path, *answers, team={"restart": "turn"}) as (here, there),
        starting(here.url, "hi", model="solo", conversation="talk") as view,
    ):
        await view.until(3)
        paused, other = (cast("SharedRuns", each.runner.app[SHARED_RUNS]) for each in (here, there))
        await take_over(paused, other, shared_redis, redis_prefix)
        paused.check()
        await until_idle(here)
        await settled(paused, other)
        (turn,) = shared_redis.command("keys", f"{base}turn:*").splitlines()
        assert shared_redis.command("hkeys", f"{base}slots") == view.run_id
        assert shared_redis.command("zrange", turn, "0", "-1") == view.run_id
        gate.open()
        assert (await view.read_all()).seen[-1].body["reason"] == "stop"
        await wait_for(lambda: not shared_redis.command("keys", f"{base}slots*"), "no slot is left")
        await wait_for(lambda: not shared_redis.command("keys", f"{base}turn:*"), "no turn is left")


async def test_a_process_that_takes_over_a_run_which_it_had_lost_drives_it_to_its_end(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """The process that had taken it over has failed, before this one noticed. Its own team does not listen."""
    base = f"{{{redis_prefix}}}:"
    runs = shared_in(shared_redis.url, redis_prefix, lease_s=60.0, max_restarts=2)
    deaf = {"factory": "tests.kit.sample_teams:deaf", "restart": "turn"}
    async with (
        cluster(runs, tmp_path, team=deaf) as (here, there),
        starting(here.url, "hi", model="solo") as view,
    ):
        run = f"{base}run:{view.run_id}"
        await wait_for(lambda: shared_redis.command("hget", run, "team"), "the request in Redis")
        paused, other = (cast("SharedRuns", each.runner.app[SHARED_RUNS]) for each in (here, there))
        await take_over(paused, other, shared_redis, redis_prefix)
        await wait_for(lambda: len(there.state.registry) == 1, "the turn that begins again")
        await take_over(other, paused, shared_redis, redis_prefix)
        other.check()
        await wait_for(lambda: here.state.registry.ended, "the end of what it had lost")
        assert len(here.state.registry) == 1
        assert shared_redis.command("hkeys", f"{base}slots") == view.run_id
        await view.read_all()
        assert "restarted" in view.kinds
        assert view.seen[-1].body["reason"] == "stop"
        await until_idle(here)
        await until_idle(there)
        await wait_for(lambda: not shared_redis.command("keys", f"{base}slots*"), "no slot is left")


async def take_over(failed: "SharedRuns", other: "SharedRuns", redis: RedisServer, prefix: str) -> None:
    """As if the lease of the first one had ended."""
    failed.connection.lease_until = 0.0
    redis.command("zadd", f"{{{prefix}}}:nodes", "1", failed.node)
    await other.takeover._take_over(failed.node)


async def test_a_lease_that_was_renewed_in_time_leaves_no_doubt(store: Store, other: "SharedRuns") -> None:
    """So the end of an answer waits for no call of Redis."""
    run = await _begun(other, store)
    await wait_for(lambda: not run.log.is_in_doubt, "the renewal")
    other.check()
    assert run.log.is_in_doubt, "Redis may have given it to another process"
    await wait_for(lambda: not run.log.is_in_doubt, "the answer")
    run.end("cancelled")


async def test_the_end_of_a_lease_is_noticed_at_once(
    store: Store, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """Not with the regular renewal, which comes after 7.5 s here: viewers elsewhere wait for that."""
    async with sharing(shared_redis.url, redis_prefix, lease_s=60.0):
        shared_redis.command("set", f"{store.base}grace", "0")
        shared_redis.command("zadd", f"{store.base}nodes", str(round(time.time() * 1000) + 300), "killed")
        async with sharing(shared_redis.url, redis_prefix, lease_s=60.0):

            def is_claimed() -> bool:
                return not shared_redis.command("zscore", f"{store.base}nodes", "killed")

            await wait_for(is_claimed, "the claim", within_s=6.0)
