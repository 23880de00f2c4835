"""`serve` as a coroutine in another program's process."""

import asyncio
import signal
import threading
from pathlib import Path

import pytest

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ConfigError
from aiostream_server.service.server import serve
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import asking, config_for, sample_team
from tests.kit.waiting import DEADLINE_S


async def test_a_cancelled_server_ends_its_streams_and_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    """At once, in spite of `drain_s`."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a ", Stall()))
        config = config_for(provider.base_url, sample_team("solo"), server=ServerConfig(port=0, drain_s=600))
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = asyncio.create_task(serve(config, state_directory=tmp_path, on_ready=ready.set_result))
        async with asking(await ready, "hi", model="solo") as answer:
            await anext(answer.pieces())
            server.cancel()
            async with asyncio.timeout(DEADLINE_S):
                await answer.read_all()
                await asyncio.wait({server})
    assert server.cancelled()
    assert answer.done
    assert answer.finish_reasons == ["error"]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    _check_no_thread_waits_to_end_the_process()


async def test_an_address_that_cannot_be_bound_closes_what_was_opened(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:9/v1", sample_team("solo"), server=ServerConfig(host="192.0.2.1", port=0))
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        await serve(config, state_directory=tmp_path, on_ready=lambda _: None)
    _check_no_thread_waits_to_end_the_process()


def _check_no_thread_waits_to_end_the_process() -> None:
    for thread in threading.enumerate():
        if thread.name == "last-resort":
            thread.join(timeout=DEADLINE_S)
            assert not thread.is_alive()
