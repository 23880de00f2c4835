"""When a run is written to Redis apart from the regular writes of all, and when it is not."""

import math
from typing import Any, cast

import pytest
import structlog.testing

from aiostream_server.events import Message, RunFinished, TokenCount
from tests.kit.redis import RedisServer
from tests.kit.shared_runs import sharing
from tests.kit.waiting import wait_for
from tests.runs.running import new_run

pytestmark = pytest.mark.needs("redis")


async def test_the_end_of_an_agents_turn_and_of_a_run_is_written_at_once(
    shared_redis: RedisServer, redis_prefix: str
) -> None:
    async with sharing(shared_redis.url, redis_prefix) as node:
        run = new_run("run-1")
        await node.directory.put(run)
        await node.owned.written("run-1", 30)
        node.owned.schedule._all_at = math.inf  # no regular write comes

        def is_written() -> bool:
            return shared_redis.last_event(f"{{{redis_prefix}}}:run:run-1") == run.log.committed

        run.log.say("A", "final", ["a", "b"])
        run.log.append(Message("A", "ab", streamed=True))
        await wait_for(is_written, "the turn")
        run.finished = RunFinished("stop", TokenCount(), 1.0)
        run.log.append(run.finished)
        node.directory.finish(run)
        await wait_for(is_written, "the end")


async def test_a_run_that_cannot_be_packed_holds_up_no_other(shared_redis: RedisServer, redis_prefix: str) -> None:
    async with sharing(shared_redis.url, redis_prefix) as node:
        with structlog.testing.capture_logs() as logs:
            broken, whole = new_run("run-1"), new_run("run-2")
            for run in (broken, whole):
                await node.directory.put(run)
                await node.owned.written(run.id, 30)
            broken.log.append(Message(cast("Any", object()), "no text is the agent", streamed=True))
            await wait_for(lambda: "run-1" not in node.owned, "the writer has let go of it")
            whole.log.append(Message("A", "words", streamed=True))

            def is_written() -> bool:
                return shared_redis.last_event(f"{{{redis_prefix}}}:run:run-2") == whole.log.committed

            await wait_for(is_written, "the other run")
        assert [each["run_id"] for each in logs if each["event"] == "run_not_shared"] == ["run-1"]
