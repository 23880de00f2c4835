"""What of Redis an answer waits for before its first byte."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from aiostream_server.log.redis.scripts import ENTER, RENEW
from aiostream_server.web.health import SHARED_RUNS
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import ScriptedAnswer
from tests.kit.serving import ask
from tests.kit.shared_runs import settled
from tests.kit.waiting import wait_for

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

pytestmark = pytest.mark.needs("redis")


class _Proxy:
    """Before Redis. Notes the scripts that are called, and lets nothing through behind the one in `last`."""

    def __init__(self) -> None:
        self.port = 0
        self.last = ""
        self.called: list[str] = []
        self.is_silent = False

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_redis: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if to_redis and self.is_silent:
                    continue
                if to_redis:
                    called = [sha.decode() for sha in re.findall(rb"EVALSHA\r\n\$40\r\n(\w{40})", data)]
                    self.called += called
                    self.is_silent = self.last in called
                writer.write(data)
        writer.close()


@asynccontextmanager
async def _proxy(port: int) -> AsyncIterator[_Proxy]:
    proxy, passing = _Proxy(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        passing.add(asyncio.create_task(proxy.pass_on(reader, back, to_redis=True)))
        passing.add(asyncio.create_task(proxy.pass_on(there, writer, to_redis=False)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        await server.wait_closed()


async def test_a_chat_waits_for_nothing_but_its_admission(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, and then Redis is silent: the whole answer comes."""
    monkeypatch.setattr("aiostream_server.runs.shared.directory._WRITTEN_S", 60.0)  # a wait would not end by itself
    async with _proxy(shared_redis.port) as proxy:
        runs = shared_in(f"redis://127.0.0.1:{proxy.port}/0", redis_prefix, lease_s=6.0)
        answers = [ScriptedAnswer("one ", "two")] * 2
        async with cluster(runs, tmp_path, *answers, count=1) as (server,):

            def is_over() -> bool:
                return not any(shared_redis.command("keys", f"*{redis_prefix}*:{name}") for name in ("slots", "runs"))

            await ask(server.url, "hi", model="solo")  # Redis has all scripts now
            await wait_for(is_over, "Redis knows that it has ended")
            await settled(cast("SharedRuns", server.runner.app[SHARED_RUNS]))  # nothing of it is still to be told
            proxy.called.clear()
            proxy.last = ENTER.sha
            async with asyncio.timeout(30):
                assert "one two" in (await ask(server.url, "hi", model="solo")).text
            assert proxy.is_silent
            assert [sha for sha in proxy.called if sha != RENEW.sha] == [ENTER.sha]
