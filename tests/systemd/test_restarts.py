"""Restarts, for any reason and however often, refuse no request and break off no answer."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.kit.waiting import wait_for
from tests.systemd import box

pytestmark = pytest.mark.alone
QUESTION = "Repeat after me: " + " ".join(f"word{number}" for number in range(12))


class Load:
    """What became of the questions of many clients."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.is_over = False

    async def ask_on_and_on(self, session: aiohttp.ClientSession) -> None:
        while not self.is_over:
            try:
                streamed = await box.stream(session, QUESTION)
            except (aiohttp.ClientError, AssertionError) as exc:
                self.outcomes[repr(exc)] += 1
            else:
                self.outcomes["whole" if streamed.is_done else "broken off"] += 1
                self.slowest_s = max(self.slowest_s, streamed.first_frame_s)


@asynccontextmanager
async def under_load(key: str, clients: int) -> AsyncIterator[Load]:
    load = Load()
    async with box.client(key) as session:
        asking = [asyncio.create_task(load.ask_on_and_on(session)) for _ in range(clients)]
        await asyncio.sleep(1)
        try:
            yield load
        finally:
            load.is_over = True
            await asyncio.gather(*asking)


async def test_restart_refuses_resets_and_breaks_nothing(session: aiohttp.ClientSession, key: str) -> None:
    async with under_load(key, clients=20) as load:
        await box.systemctl("restart", box.SERVICE)
    print(load.outcomes, load.slowest_s)
    assert set(load.outcomes) == {"whole"}


@pytest.mark.timeout(120)  # six starts and six drains
async def test_restart_with_a_stand_by_delays_no_request(session: aiohttp.ClientSession, key: str) -> None:
    async with under_load(key, clients=12) as load:
        for _ in range(3):
            pid = box.shown("MainPID")
            await box.systemctl("start", "aiostream-server-restart.service")
            assert box.shown("MainPID") != pid
    print(load.outcomes, load.slowest_s)
    assert set(load.outcomes) == {"whole"}
    assert load.slowest_s < 2
    assert box.shown("ActiveState", "aiostream-server@standby.service") == "inactive"


async def test_fifteen_quick_restarts_do_not_close_the_socket(session: aiohttp.ClientSession) -> None:
    """By default systemd gives up after five within ten seconds, and closes the socket."""
    with box.drop_in("[Service]\nRestartSec=50ms\n"):
        for _ in range(15):
            restarts = int(box.shown("NRestarts"))
            os.kill(box.main_pid(), signal.SIGKILL)
            await box.until("NRestarts", str(restarts + 1))
            await box.until("SubState", "start")
        assert "15" in await box.ask(session, "What is 3 * 5?")
    assert box.shown("ActiveState", "aiostream-server.socket") == "active"


async def test_broken_configuration_is_tried_slowly_and_clients_wait(session: aiohttp.ClientSession) -> None:
    since = time.time()
    config = box.path(box.CONFIG)
    sound = config.read_text()
    config.write_text(sound + "\n[nonsense]\nx = 1\n")
    try:
        box.run("systemctl", "restart", box.SERVICE, check=False)
        waiting = asyncio.create_task(box.ask(session, "What is 3 * 5?"))

        async def tries() -> int:
            said = await asyncio.to_thread(box.journal, since)
            times = said.count("Scheduled restart job")
            return times if times >= 2 and "nonsense" in said else 0

        times = await wait_for(tries, "two more tries", every_s=0.2)
        assert times <= time.time() - since  # RestartSec=1, and the starts themselves
        assert box.shown("ActiveState", "aiostream-server.socket") == "active"
    finally:
        config.write_text(sound)
    assert "15" in await waiting


async def test_stand_by_that_does_not_start_leaves_the_server_alone(session: aiohttp.ClientSession) -> None:
    config = box.path(box.CONFIG)
    sound = config.read_text()
    pid = box.shown("MainPID")
    config.write_text(sound + "\n[nonsense]\nx = 1\n")
    try:
        with pytest.raises(AssertionError, match="status 1"):
            await box.systemctl("start", "aiostream-server-restart.service")
    finally:
        config.write_text(sound)
    assert box.shown("MainPID") == pid
    assert box.shown("SubState", "aiostream-server@standby.service") in ("dead", "failed")
    assert "15" in await box.ask(session, "What is 3 * 5?")
