"""When a run is written to Redis apart from the regular writes of all."""

import math

import pytest

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
        await node.writer.written("run-1", 30)
        node.writer._all_at = math.inf  # no regular write comes

        def is_written() -> bool:
            return shared_redis.command("hget", f"{{{redis_prefix}}}:run:run-1", "last") == str(run.log.committed)

        run.log.say("A", "final", ["a", "b"])
        run.log.append(Message("A", "ab", streamed=True))
        await wait_for(is_written, "the turn")
        run.finished = RunFinished("stop", TokenCount(), 1.0)
        run.log.append(run.finished)
        node.directory.finish(run)
        await wait_for(is_written, "the end")
