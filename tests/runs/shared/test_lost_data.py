"""Redis loses its data, or was away: what processes write again holds as before, at every one of them."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest

from aiostream_server.config.model import RunsConfig
from aiostream_server.events import RunStarted
from aiostream_server.log.redis.write_order import WriteOrder
from aiostream_server.runs.shared.owned import OwnedRun
from aiostream_server.web.health import SHARED_RUNS
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer, running_redis
from tests.kit.scripted_provider import Gate, ScriptedAnswer
from tests.kit.serving import Server
from tests.kit.waiting import wait_for
from tests.runs.running import new_run
from tests.web.watching import call, start_in_background, starting

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

pytestmark = pytest.mark.needs("redis")

ASKED: dict[str, Any] = {"model": "solo", "conversation": "talk", "headers": {"Idempotency-Key": "k"}}


@pytest.fixture
def runs(shared_redis: RedisServer, redis_prefix: str) -> RunsConfig:
    return shared_in(shared_redis.url, redis_prefix, lease_s=4.0)


def _asked(server: Server) -> bool:
    return bool(cast("SharedRuns", server.runner.app[SHARED_RUNS]).starts._here._starts)


async def _lose_everything(redis: RedisServer, prefix: str, *known: str) -> None:
    """Returns when Redis has these runs again."""
    redis.command("del", *redis.command("keys", f"{{{prefix}}}:*").split())
    keys = [f"{{{prefix}}}:run:{run_id}" for run_id in known]
    # Asking blocks the event loop in which the servers run: on a busy machine for longer than they get between.
    await wait_for(lambda: redis.command("exists", *keys) == str(len(keys)) or not keys, "the runs again", every_s=0.2)


async def test_turns_and_idempotency_keys_of_live_runs_hold(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, runs: RunsConfig
) -> None:
    gate = Gate()
    async with cluster(runs, tmp_path, ScriptedAnswer("a", gate), ScriptedAnswer("b")) as (here, there):
        run = await start_in_background(here.url, "hi", **ASKED)
        await _lose_everything(shared_redis, redis_prefix, run["id"])
        assert (await start_in_background(there.url, "hi", **ASKED))["id"] == run["id"]
        async with starting(there.url, "hi again", model="solo", conversation="talk") as second:
            await second.until(2)
            assert "token" not in second.kinds, "it waits for its turn"
            gate.open()
            assert (await second.read_all()).text == "b"
        await wait_for(lambda: not shared_redis.command("keys", f"{{{redis_prefix}}}:turn:*"), "no turn is taken")


async def test_an_answer_of_redis_from_before_it_lost_its_data_confirms_nothing() -> None:
    """The loss is noticed by the thread of the lease, while the answer of a call waits for the event loop."""
    owned = OwnedRun(new_run("run-1"), 60.0)
    owned.run.log.append(RunStarted("team"))
    order = owned.order(0.0)
    assert isinstance(order, WriteOrder)
    owned.disagreed(owned.written)
    owned.wrote(order.last, 0.0)
    assert owned.is_due
    assert not owned.is_confirmed
    again = owned.order(0.0)
    assert isinstance(again, WriteOrder)
    owned.wrote(again.last, 0.0)
    assert owned.is_confirmed


async def test_a_key_that_is_not_written_again_yet_starts_no_second_run(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, runs: RunsConfig
) -> None:
    """One that is new starts its run a moment later."""
    gate = Gate()
    async with cluster(runs, tmp_path, *[ScriptedAnswer("a", gate)] * 2) as (here, there):
        run = await start_in_background(here.url, "hi", **ASKED)
        writer = cast("SharedRuns", here.runner.app[SHARED_RUNS]).writer
        async with writer._writing:
            await _lose_everything(shared_redis, redis_prefix)
            behind = f"{{{redis_prefix}}}:behind"
            await wait_for(lambda: shared_redis.command("exists", behind) == "1", "the loss to be noticed")
            asking = asyncio.create_task(start_in_background(there.url, "hi", **ASKED))
            await wait_for(lambda: _asked(there), "the question")
        assert (await asking)["id"] == run["id"]
        other = await start_in_background(there.url, "hi", model="solo", headers={"Idempotency-Key": "new"})
        assert other["id"] != run["id"]
        gate.open()


async def test_the_key_of_a_finished_run_is_for_that_run(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, runs: RunsConfig
) -> None:
    """And only for what it asked."""
    async with cluster(runs, tmp_path, *[ScriptedAnswer("a")] * 2) as (here, there):
        async with starting(here.url, "hi", **ASKED) as view:
            await view.read_all()
        key = f"{{{redis_prefix}}}:run:{view.run_id}"
        await wait_for(lambda: shared_redis.command("hget", key, "finished") == "1", "the end in Redis")
        await _lose_everything(shared_redis, redis_prefix, view.run_id)
        async with starting(there.url, "hi", **ASKED) as again:
            assert (again.run_id, (await again.read_all()).text) == (view.run_id, "a")
        async with starting(there.url, "something else", **ASKED) as other:
            assert other.response.status == 409


async def test_a_run_that_is_not_written_again_yet_is_not_unknown(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, runs: RunsConfig
) -> None:
    """A client that resumes it elsewhere is to ask again; one that is found in time needs not."""
    gate = Gate()
    async with cluster(runs, tmp_path, ScriptedAnswer("a", gate)) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        writer = cast("SharedRuns", here.runner.app[SHARED_RUNS]).writer
        async with writer._writing:
            await _lose_everything(shared_redis, redis_prefix)
            url = f"{there.url}/v1/runs/{run['id']}"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                assert (response.status, "Retry-After" in response.headers) == (503, True)
            asking = asyncio.create_task(call("GET", url))
            await asyncio.sleep(0)
        status, found = await asking
        assert (status, found["id"]) == (200, run["id"])
        gate.open()


async def test_the_latest_run_of_a_conversation_is_the_one_that_was_started_last(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, runs: RunsConfig
) -> None:
    """In whichever order they are written again."""
    async with cluster(runs, tmp_path, *[ScriptedAnswer("a")] * 8) as (here, there):
        ids = []
        for _ in range(8):
            async with starting(here.url, "hi", model="solo", conversation="talk") as view:
                await view.read_all()
            ids.append(view.run_id)
        await _lose_everything(shared_redis, redis_prefix, *ids)
        (latest,) = shared_redis.command("keys", f"{{{redis_prefix}}}:latest:*").split()
        assert shared_redis.command("get", latest) == ids[-1]
        assert (await call("GET", f"{there.url}/v1/runs"))[1]["data"][0]["id"] == ids[-1]


async def test_turns_and_keys_that_were_taken_while_redis_was_away_hold_afterwards(tmp_path: Path) -> None:
    gate = Gate()
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(running_redis())
        settings = shared_in(redis.url, "t", lease_s=2.0)
        answers = (ScriptedAnswer("a", gate), ScriptedAnswer("b"))
        here, there = await stack.enter_async_context(cluster(settings, tmp_path, *answers))
        redis.kill()

        async def shared() -> set[str]:
            return {(await call("GET", f"{each.url}/readyz"))[1]["shared_runs"] for each in (here, there)}

        await wait_for(lambda: _is(shared, "unavailable"), "the outage to be noticed")
        run = await start_in_background(here.url, "hi", **ASKED)
        redis.start()
        await wait_for(lambda: redis.command("exists", f"{{t}}:run:{run['id']}") == "1", "the run in Redis")
        await wait_for(lambda: _is(shared, "ok"), "its return to be noticed")
        assert (await start_in_background(there.url, "hi", **ASKED))["id"] == run["id"]
        async with starting(there.url, "hi again", model="solo", conversation="talk") as second:
            await second.until(2)
            assert "token" not in second.kinds, "it waits for its turn"
            gate.open()
            assert (await second.read_all()).text == "b"


async def _is(shared: Any, word: str) -> bool:
    return bool(await shared() == {word})
