"""The log of a run of another process, as its viewers here see it."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from aiostream_server.events import Dropped, Entry, RunFinished, SpeechKind, Token
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.redis.connection import RedisConnection, open_redis
from aiostream_server.log.redis.mirror import Mirror
from aiostream_server.log.redis.packing import pack
from aiostream_server.log.redis.reserved import RESERVED_AHEAD
from tests.kit.cluster import shared_in
from tests.kit.redis import RedisServer
from tests.kit.waiting import wait_for


class Shown:
    """A shortcut that notes what it is given."""

    def __init__(self) -> None:
        self.tokens: list[tuple[str, float]] = []

    def write_tokens(
        self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float, times: Sequence[float] = ()
    ) -> bool:
        assert timestamp == times[-1]
        self.tokens += zip(texts, times, strict=True)
        return True

    def write_through(self, entries: Sequence[Entry]) -> bool:
        return False


async def test_each_token_of_a_payload_keeps_its_time() -> None:
    """A payload holds what was said since the last one, at several moments."""
    log = MemoryLog("run-1")
    said = [("a", 10.0), ("b", 10.0), ("c", 10.1), ("d", 10.25)]
    for text, time in said:
        log.add(Token("A", text, "message"), time)
    (packed,) = pack(log, 0)
    mirror = Mirror("run-1", cast("RedisConnection", None), last=0, finished=False, on_state=lambda *_: None)
    with mirror.reader() as reader:
        shown = reader.shortcut = cast("Any", Shown())
        reading = asyncio.create_task(reader.read())
        await wait_for(lambda: reader._waiting is not None, "a reader that waits")
        assert mirror.take(packed.payload)
        reading.cancel()
    assert shown.tokens == said
    assert reader.after == len(said)


@pytest.mark.needs("redis")
async def test_the_end_of_a_run_that_is_lost_stands_behind_all_numbers_that_it_may_have_used(
    shared_redis: RedisServer, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has lost the run, and its process has failed: that one's own viewers may have seen more of it."""
    monkeypatch.setattr("aiostream_server.log.redis.mirror._LOST_S", 0.0)
    async with open_redis(shared_in(shared_redis.url, redis_prefix)) as connection:
        mirror = Mirror("run-1", connection, last=5, finished=False, on_state=lambda *_: None)
        with mirror.reader(5) as reader:
            for _ in range(2):
                await mirror._catch_up()
            told = [*await reader.read(), *await reader.read()]
            assert reader.at_end
    assert [type(entry.event) for entry in told] == [Dropped, RunFinished]
    assert told[0].event == Dropped(first=6)
    assert told[1].seq == told[0].seq + 1
    assert told[0].seq >= 5 + RESERVED_AHEAD
