"""What `READ` finds of a run's events behind any number, in each kind of store."""

from typing import Final

import pytest

from aiostream_server.config.model import RunsConfig
from aiostream_server.log.redis.connection import RedisConnection, open_redis
from aiostream_server.log.redis.packing import Packed, pack
from aiostream_server.log.redis.reserved import ReservedLog
from aiostream_server.log.redis.scripts import READ, WRITE
from aiostream_server.log.redis.write_order import Birth, WriteOrder, write_arguments
from tests.kit.redis import STORES, RedisServers

_BIRTH: Final = Birth('["a",null]', "1", "digest", "", "", "", is_late=False, fingerprint="")


def _payloads(lengths: list[int]) -> list[Packed]:
    """One with each number of events, behind one another."""
    log, payloads = ReservedLog("run-1"), list[Packed]()
    for length in lengths:
        log.say("A", "final", ["x"] * length)
        payloads += pack(log, payloads[-1].last if payloads else 0)
    return payloads


async def _write(connection: RedisConnection, payloads: list[Packed], keep_from: int) -> None:
    order = WriteOrder("run-1", 0, 4096, keep_from, -1, False, payloads, birth=_BIRTH)
    _, last = await connection.run(WRITE, "node", 60_000, "", *write_arguments([order]))
    assert int(last) == payloads[-1].last


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("keep_from", [0, 1, 30, 31, 47])
async def test_a_page_holds_what_is_behind_a_number(
    redis_servers: RedisServers, redis_prefix: str, kind: str, keep_from: int
) -> None:
    """Beginning with the payload that has the next number, even where the first ones are kept no longer."""
    payloads = _payloads([1, 1, 5, 20, 3, 1, 1, 9, 2, 4])
    config = RunsConfig(store="redis", redis_url=redis_servers(kind).url, prefix=redis_prefix)
    async with open_redis(config, must_answer=True) as connection:
        await _write(connection, payloads, keep_from)
        kept = [each for each in payloads if each.last >= keep_from]
        for after in range(payloads[-1].last + 2):
            for count in (0, 1, 3, 100):
                last, is_finished, node, _, found = await connection.run(READ, "run-1", after, count)
                assert (last, is_finished, node) == (payloads[-1].last, 0, b"node")
                assert found == [each.payload for each in kept if each.last > after][:count], (after, count)
