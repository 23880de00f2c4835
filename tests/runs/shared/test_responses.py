"""Responses on two servers: read, resumed, continued and deleted at either, wherever they were asked for."""

from pathlib import Path

import openai
import pytest

from aiostream_server.config.model import RunsConfig
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import ScriptedAnswer
from tests.kit.waiting import wait_for
from tests.web.test_responses import client_of, read_all
from tests.web.watching import WORDS

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
def runs(shared_redis: RedisServer, redis_prefix: str) -> RunsConfig:
    return shared_in(shared_redis.url, redis_prefix)


async def test_a_response_is_resumed_and_deleted_at_another_server(tmp_path: Path, runs: RunsConfig) -> None:
    async with (
        cluster(runs, tmp_path, ScriptedAnswer(*WORDS, pause_s=0.01)) as (here, there),
        client_of(here) as one,
        client_of(there) as other,
    ):
        queued = await one.responses.create(model="solo", input="hi", background=True)
        events = await read_all(other, queued.id)
        assert events == await read_all(one, queued.id)
        assert await read_all(other, queued.id, 7) == events[8:]
        assert events[-1].response == await other.responses.retrieve(queued.id)
        await other.responses.delete(queued.id)
        for client in (one, other):
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(queued.id)
        await wait_for(lambda: not here.state.registry.viewers, "nothing is watched")
