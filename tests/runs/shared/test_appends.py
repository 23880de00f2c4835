"""What a run says is appended to its list in Redis and nothing else is asked, as long as that is safe."""

import math
import re

import pytest

from aiostream_server.log.redis.packing import entries_in
from aiostream_server.log.redis.scripts import CLAIM, READ
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.backend import SharedRuns
from tests.kit.redis import RedisServer
from tests.kit.shared_runs import sharing
from tests.kit.waiting import wait_for
from tests.runs.running import new_run

pytestmark = pytest.mark.needs("redis")


class _Written:
    """A run of `node` that Redis knows, and its key."""

    def __init__(self, redis: RedisServer, prefix: str, node: SharedRuns) -> None:
        self.run: Run = new_run("run-1")
        self.key = f"{{{prefix}}}:run:run-1"
        self.call_key = f"{{{prefix}}}:node:{node.node}:call"
        self._redis = redis
        self._node = node

    async def begin(self) -> None:
        await self._node.directory.put(self.run)
        await self._node.owned.written("run-1", 30)
        await self.say("a", "b")

    async def say(self, *texts: str) -> None:
        self.run.log.say("A", "final", texts)
        await wait_for(lambda: self._redis.last_event(self.key) == self.run.log.committed, f"{texts} in Redis")

    async def numbers(self) -> list[int]:
        found = await self._node.connection.run(READ, "run-1", 0, 1000)
        return [entry.seq for payload in found[4] for entry in entries_in(payload, 0)]


def _calls(redis: RedisServer, command: str) -> int:
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", redis.command("info", "commandstats"))
    return int(found[1]) if found else 0


async def test_tokens_cost_redis_one_command_for_each_run_and_write(
    shared_redis: RedisServer, redis_prefix: str
) -> None:
    """Its price for a token depends on that."""
    async with sharing(shared_redis.url, redis_prefix) as node:
        written = _Written(shared_redis, redis_prefix, node)
        await written.begin()
        node.owned._runs["run-1"]._confirmed_until = math.inf  # however slow the machine is
        shared_redis.command("config", "resetstat")
        for text in "cdef":
            await written.say(text)
        assert _calls(shared_redis, "rpushx") == 4
        assert _calls(shared_redis, "hmget") + _calls(shared_redis, "hset") == 0


async def test_a_redis_that_has_lost_writes_gets_them_again(shared_redis: RedisServer, redis_prefix: str) -> None:
    """A replica that lags takes over, and no connection fails: there is no gap in what it has then."""
    async with sharing(shared_redis.url, redis_prefix) as node:
        written = _Written(shared_redis, redis_prefix, node)
        await written.begin()
        events, before = f"{written.key}:log", shared_redis.command("get", written.call_key)
        shared_redis.command("copy", events, f"{events}:before")
        await written.say("c", "d")
        shared_redis.command("rename", f"{events}:before", events)
        shared_redis.command("set", written.call_key, before)
        await written.say("e")
        assert await written.numbers() == [1, 2, 3, 4, 5]


async def test_a_process_whose_runs_were_claimed_appends_nothing(shared_redis: RedisServer, redis_prefix: str) -> None:
    """Not even before it has noticed that its lease was over."""
    async with (
        sharing(shared_redis.url, redis_prefix, lease_s=60.0) as node,
        sharing(shared_redis.url, redis_prefix, lease_s=60.0) as other,
    ):
        written = _Written(shared_redis, redis_prefix, node)
        await written.begin()
        assert shared_redis.command("zadd", f"{{{redis_prefix}}}:nodes", "1", node.node) == "0"
        claimed = await other.connection.run(CLAIM, node.node, other.node, 60_000, 0)
        assert [run_id for run_id, *_ in claimed] == [b"run-1"]
        written.run.log.say("A", "final", ["c"])
        await wait_for(lambda: "run-1" not in node.owned, "it has noticed")
        assert await written.numbers() == [1, 2]


async def test_the_first_events_of_a_run_that_had_none_are_not_sent_twice(
    shared_redis: RedisServer, redis_prefix: str
) -> None:
    """An append adds nothing to a list that is not there."""
    async with sharing(shared_redis.url, redis_prefix) as node:
        written = _Written(shared_redis, redis_prefix, node)
        await node.directory.put(written.run)
        await node.owned.written("run-1", 30)
        shared_redis.command("config", "resetstat")
        await written.say("a")
        assert (_calls(shared_redis, "rpush"), _calls(shared_redis, "rpushx")) == (1, 0)
