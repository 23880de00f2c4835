"""Start, readiness, streams, the watchdog, crashes, secrets and state, each under a real systemd."""

import asyncio
import os
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from tests.kit.waiting import wait_for
from tests.systemd import box

pytestmark = pytest.mark.alone
LONG = "Repeat after me: " + " ".join(f"word{number}" for number in range(40))


async def test_first_connection_starts_the_server_and_is_answered(key: str) -> None:
    await box.systemctl("stop", box.SERVICE)
    async with box.client(key) as session, session.get("/readyz") as response:
        assert response.status == 200
    assert box.shown("ActiveState") == "active"


async def test_start_returns_when_the_server_is_ready_and_status_tells_its_figures(
    session: aiohttp.ClientSession,
) -> None:
    await box.systemctl("restart", box.SERVICE)
    async with session.get("/readyz") as response:
        assert response.status == 200
    await wait_for(lambda: "0 runs" in box.shown("StatusText"), "the status shows figures", every_s=0.1)


async def test_answer_comes_token_by_token(session: aiohttp.ClientSession) -> None:
    streamed = await box.stream(session, LONG)
    assert streamed.is_done
    assert len(streamed.times) > 10
    took_s = streamed.times[-1] - streamed.times[0]
    gaps = [later - earlier for earlier, later in zip(streamed.times, streamed.times[1:], strict=False)]
    assert max(gaps) < took_s / 2


async def test_stop_lets_a_stream_finish_and_says_that_it_drains(session: aiohttp.ClientSession) -> None:
    streaming = asyncio.create_task(box.stream(session, LONG))
    await asyncio.sleep(0.5)
    await box.systemctl("--no-block", "stop", box.SERVICE)
    await box.until("ActiveState", "deactivating")
    await wait_for(lambda: "draining" in box.shown("StatusText"), "the status says that it drains", every_s=0.05)
    assert (await streaming).is_done
    await box.until("ActiveState", "inactive")


async def test_loop_that_is_blocked_is_killed_told_where_and_started_again(session: aiohttp.ClientSession) -> None:
    since = time.time()
    with box.drop_in("[Service]\nWatchdogSec=3\n"):
        await box.systemctl("restart", box.SERVICE)
        started_at = time.monotonic()
        with pytest.raises(aiohttp.ClientError):
            await box.ask(session, "hello", model="blocks")
        assert time.monotonic() - started_at < 20  # without the watchdog it would block for a minute
        assert "15" in await box.ask(session, "What is 3 * 5?")  # a request meanwhile waits and is answered
        said = box.journal(since)
    assert "Watchdog timeout" in said
    assert 'box_teams.py", line' in said  # where every thread was
    assert " in run\n" in said
    await box.systemctl("restart", box.SERVICE)


async def test_killed_server_is_back_and_no_request_is_refused(session: aiohttp.ClientSession) -> None:
    os.kill(box.main_pid(), signal.SIGKILL)
    answer = await box.ask(session, "What is 3 * 5?")
    assert "15" in answer
    assert box.shown("Result") == "success"


async def test_secrets_are_in_files_of_the_service_and_not_in_its_environment(session: aiohttp.ClientSession) -> None:
    process = Path("/proc", str(box.main_pid()))
    environment = (process / "environ").read_text()
    assert "CREDENTIALS_DIRECTORY=" in environment
    assert "canary" not in environment
    assert "canary" not in box.run("systemctl", "show", box.SERVICE)
    credential = "/run/credentials/aiostream-server.service/secret_provider"
    assert box.path(credential).read_text() == "sk-canary-of-the-provider\n"
    for secret in (
        credential,
        "/etc/aiostream-server/credentials/provider",
        "/etc/aiostream-server/private/keys/keys.json",
    ):
        told = box.run("setpriv", "--reuid=65534", "--clear-groups", "cat", secret, check=False)
        assert told == ""


async def test_what_was_said_in_a_conversation_survives_a_restart(session: aiohttp.ClientSession) -> None:
    conversation = {"X-Conversation-Id": f"box-{time.time_ns()}"}
    await box.ask(session, "My name is Ada.", headers=conversation)
    await box.systemctl("restart", box.SERVICE)
    assert "Ada" in await box.ask(session, "What is my name?", headers=conversation)
    assert box.path("/var/lib/private/aiostream-server").stat().st_mode & 0o777 == 0o700


async def test_reload_knows_a_new_key_and_keeps_the_streams(session: aiohttp.ClientSession) -> None:
    streaming = asyncio.create_task(box.stream(session, LONG))
    await asyncio.sleep(0.3)
    pid = box.shown("MainPID")
    async with box.client(await asyncio.to_thread(box.create_key, "later")) as other:
        async with other.get("/v1/models") as response:
            assert response.status == 401
        await box.systemctl("reload", box.SERVICE)

        async def is_known() -> bool:
            async with other.get("/v1/models") as response:
                return response.status == 200

        await wait_for(is_known, "the new key is known", every_s=0.1)
    assert (await streaming).is_done
    assert box.shown("MainPID") == pid


async def test_template_serves_on_the_same_socket_and_shares_the_state(session: aiohttp.ClientSession) -> None:
    conversation = {"X-Conversation-Id": f"box-{time.time_ns()}"}
    await box.ask(session, "My name is Grace.", headers=conversation)
    await box.systemctl("start", "aiostream-server@second.service")
    await box.systemctl("stop", box.SERVICE)
    assert "Grace" in await box.ask(session, "What is my name?", headers=conversation)
    await box.systemctl("stop", "aiostream-server@second.service")
