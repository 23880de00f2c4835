"""The phases of `service.shutdown`, one by one; `test_shutdown` tests the process."""

import asyncio
import time
from pathlib import Path

import pytest

from aiostream_server.config.model import Config, ServerConfig
from aiostream_server.service.shutdown import drain, end
from aiostream_server.service.sockets import Listening
from aiostream_server.web.traffic import TRAFFIC
from tests.kit.scripted_provider import Pause, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import asking, config_for, sample_team, serving
from tests.kit.waiting import wait_for
from tests.service.stopping import NOISE_S
from tests.web.raw import parse, post


@pytest.mark.parametrize(
    ("script", "finishes"),
    [(ScriptedAnswer("a ", Pause(0.3), "b"), True), (ScriptedAnswer("a ", Stall()), False)],
    ids=["done", "cut"],
)
async def test_draining_waits_for_what_ends_in_time_and_ending_for_the_rest(
    tmp_path: Path, script: ScriptedAnswer, finishes: bool
) -> None:
    async with ScriptedProvider() as provider:
        provider.script(script)
        config = config_for(provider.base_url, sample_team("solo", presentation="answer"))
        async with serving(config, tmp_path) as server, asking(server.url, "hi", model="solo") as answer:
            await (await provider.request()).sent(1)
            reading = asyncio.create_task(answer.read_all())
            stopping = Config(server=ServerConfig(lame_duck_s=0.05, drain_s=5.0 if finishes else 0.5))
            await drain(server.runner, stopping, Listening(()))
            await end(server.runner)
            assert len(server.state.registry) == 0
            await reading
    assert answer.done
    assert (answer.text == "a b") is finishes


async def test_a_body_on_its_way_is_given_the_shorter_of_both_times(tmp_path: Path) -> None:
    """Its own, and the drain's: which answers 503 where the other answers 408."""
    async with ScriptedProvider() as provider:
        config = config_for(provider.base_url, sample_team("solo"))
        async with serving(config, tmp_path) as server:
            traffic = server.runner.app[TRAFFIC]
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
            writer.write(post()[:-10])
            await wait_for(lambda: traffic.bodies, "the server reads the body")
            started_at = time.monotonic()
            traffic.drain(bodies_within_s=0.2)
            traffic.drain(bodies_within_s=60.0)  # a second call must not extend it
            answer = parse(await reader.readuntil(b"}}"))  # the connection lingers: the client still sends
            assert 0.2 <= time.monotonic() - started_at < NOISE_S
            writer.close()
            await writer.wait_closed()
    assert (answer.status, answer.error["code"]) == (503, "shutting_down")
