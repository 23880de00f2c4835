"""Calls of Redis that are given up, or that lose their connection."""

import asyncio

import pytest
import uvloop

from aiostream_server.log.redis.connection import open_redis
from aiostream_server.log.redis.scripts import READ
from tests.kit.cluster import shared_in
from tests.kit.redis import RedisServer

pytestmark = pytest.mark.needs("redis")


async def test_a_call_can_be_cancelled_in_every_turn_of_the_loop(shared_redis: RedisServer, redis_prefix: str) -> None:
    """Also in that in which its command is written."""
    async with open_redis(shared_in(shared_redis.url, redis_prefix)) as connection:
        turns = [0, *range(60)]  # the first call opens the connection
        for wait in turns:
            calling = asyncio.create_task(connection.run(READ, "run-1", 0, 1))
            for _ in range(wait):
                await asyncio.sleep(0)
            if not calling.cancel():
                break
            await asyncio.wait({calling})
            assert calling.cancelled(), f"it went on when it was cancelled after {wait} turns"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_call_is_repeated_when_its_connection_is_closed(
    shared_redis: RedisServer, redis_prefix: str, loop: str
) -> None:
    """In any turn of the loop, as after a failover: the connections to the former primary are closed."""

    async def close_in_each_turn() -> bool:
        async with open_redis(shared_in(shared_redis.url, redis_prefix)) as connection:
            for wait in range(60):
                calling = asyncio.create_task(connection.run(READ, "run-1", 0, 1))
                for _ in range(wait):
                    await asyncio.sleep(0)
                await connection.client.connection_pool.disconnect()
                assert await calling == []
            return connection.is_available

    assert (uvloop.run if loop == "uvloop" else asyncio.run)(close_in_each_turn())
