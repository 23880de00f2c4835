"""`sd_notify`, against real datagram sockets: what is sent, when, and by which process. Sending never waits."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.service.status import ProcessStatus
from aiostream_server.service.systemd import ServiceManager, SystemdEnvironment
from tests.kit.process import serving_process
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import asking
from tests.kit.waiting import DEADLINE_S
from tests.service.manager import Manager, manager
from tests.service.stopping import TEAMS, until_refused
from tests.service.teams import until_begun

BUSY = ProcessStatus(runs=12, viewers=15, queued=0, lag_s=0.0012)
STATUS = "12 runs, 15 viewers, 0 queued, loop lag 1 ms"


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Manager]:
    with manager(str(tmp_path / "notify")) as listening:
        yield listening


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("a ", Stall()))
        yield provider


def test_a_socket_has_a_path_or_an_abstract_name(tmp_path: Path) -> None:
    for address in (str(tmp_path / "notify"), f"@aiostream-test-{os.getpid()}"):
        with manager(address) as heard:
            ServiceManager(address).ready()
            assert heard.hear() == {"READY": "1"}


def test_notifications_of_serving_reloading_and_stopping(heard: Manager) -> None:
    telling = ServiceManager(heard.address)
    telling.beat(BUSY)
    assert heard.hear() == {"STATUS": STATUS}
    before_usec = time.monotonic_ns() // 1000
    telling.reloading()
    message = heard.hear()
    assert message.keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert before_usec <= int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    telling.reloaded("")
    assert heard.hear() == {"READY": "1"}
    telling.stopping(30.0)
    message = heard.hear()
    assert (message["STOPPING"], message["STATUS"]) == ("1", "draining")
    assert 30_000_000 < int(message["EXTEND_TIMEOUT_USEC"]) <= 35_000_000
    telling.beat(BUSY)
    later = heard.hear()
    assert later["STATUS"] == f"draining: {STATUS}"
    assert int(later["EXTEND_TIMEOUT_USEC"]) < int(message["EXTEND_TIMEOUT_USEC"])


def test_a_watched_process_beats_twice_in_the_watchdogs_time(heard: Manager) -> None:
    telling = ServiceManager(heard.address, watchdog_s=2.0)
    assert telling.beat_s == 1.0
    telling.beat(BUSY)
    assert heard.hear() == {"STATUS": STATUS, "WATCHDOG": "1"}
    assert ServiceManager(heard.address, watchdog_s=600.0).beat_s == 3.0
    assert ServiceManager().beat_s == 3.0


def test_a_status_has_singular_and_plural() -> None:
    assert str(ProcessStatus(1, 1, 0, 0.0)) == "1 run, 1 viewer, 0 queued, loop lag 0 ms"
    assert str(ProcessStatus.total([ProcessStatus(1, 2, 3, 0.5), ProcessStatus(1, 0, 0, 0.25)])).endswith(
        "3 queued, loop lag 500 ms"
    )
    assert ProcessStatus.total([]) == ProcessStatus()


def test_a_manager_that_does_not_read_delays_nothing_and_is_told_later(heard: Manager) -> None:
    telling = ServiceManager(heard.address, watchdog_s=2.0)
    for _ in range(2000):  # a blocking send would wait for ever: nothing is read meanwhile
        telling.beat(ProcessStatus())
    telling.ready()
    queued = heard.hear_all()
    assert 0 < len(queued) < 2000
    assert not any("READY" in message for message in queued)
    telling.beat(BUSY)
    assert heard.hear() == {"READY": "1", "WATCHDOG": "1", "STATUS": STATUS}


@given(st.text() | st.sampled_from(["@", "", "\0", "@" + "a" * 200, "/nobody/there", "vsock:2:1", "@\ud800"]))
def test_no_address_fails_the_server(address: str) -> None:
    for telling in (ServiceManager.named_in({"NOTIFY_SOCKET": address}, 1), ServiceManager(), ServiceManager("@x")):
        telling.ready()
        telling.beat(BUSY)
        telling.stopping(1.0)


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "7"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": ""}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({"WATCHDOG_USEC": "9" * 5000}, None),
        ({"WATCHDOG_PID": "7"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_counts_where_it_watches_this_process(variables: dict[str, str], watchdog_s: float | None) -> None:
    assert ServiceManager.named_in(variables, 7).watchdog_s == watchdog_s


def test_programs_that_the_server_starts_inherit_none_of_the_variables() -> None:
    environ = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "LISTEN_FDS": "1", "PATH": "/bin"}
    environ |= {"LISTEN_PID": "1", "LISTEN_FDNAMES": "http"}
    assert SystemdEnvironment.take(environ).listening is None
    assert environ == {"PATH": "/bin"}


def started_with(pid: int) -> set[str]:
    """The names of the variables in its environment."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {pair.partition(b"=")[0].decode() for pair in pairs}


def config_toml(provider: ScriptedProvider, server: str = "") -> str:
    teams = "\n".join(f'[[teams]]\nid = "{name}"\nfactory = "{TEAMS[name]}"' for name in ("solo", "blocking"))
    model = f'[models.default]\nprovider = "openai"\nmodel = "scripted"\nbase_url = "{provider.base_url}"'
    return f'[server]\nport = 0\nlog_format = "json"\n{server}\n{model}\n{teams}'


async def test_a_server_notifies_ready_its_load_and_its_end(
    tmp_path: Path, heard: Manager, provider: ScriptedProvider
) -> None:
    """And for how long it may still take, from the signal on."""
    config = config_toml(provider, "drain_s = 1.0")
    async with serving_process(config, tmp_path, NOTIFY_SOCKET=heard.address, WATCHDOG_USEC="400000") as server:
        await heard.until(lambda message: "READY" in message)
        assert heard.heard == [{"READY": "1"}]
        async with asking(server.url, "hi", model="solo") as answer:
            await anext(answer.pieces())
            await heard.until(lambda message: message["STATUS"].startswith("1 run, 1 viewer, 0 queued, loop lag "))
            heard.hear_all()
            server.process.terminate()
            stopping = await heard.until(lambda message: "STOPPING" in message)
            assert 2.0e6 < int(stopping["EXTEND_TIMEOUT_USEC"]) <= 7.0e6
            draining = await heard.until(lambda message: message["STATUS"].startswith("draining: 1 run, 1 viewer"))
            assert 0 < int(draining["EXTEND_TIMEOUT_USEC"]) < int(stopping["EXTEND_TIMEOUT_USEC"])
            assert draining["WATCHDOG"] == "1"
            await until_refused(server)
            await answer.read_all()
        assert await server.end() == 0
    assert heard.pids == {server.process.pid}


async def test_a_blocked_loop_sends_no_beat(tmp_path: Path, heard: Manager, provider: ScriptedProvider) -> None:
    config = config_toml(provider)
    async with serving_process(config, tmp_path, NOTIFY_SOCKET=heard.address, WATCHDOG_USEC="400000") as server:
        for _ in range(3):
            await heard.until(lambda message: "WATCHDOG" in message)
        async with asking(server.url, "hi", model="blocking"):
            await until_begun("blocking", tmp_path)
            heard.hear_all()
            await asyncio.sleep(1.0)  # five beats would be due
            assert heard.hear_all() == []


async def test_a_server_that_cannot_start_is_never_ready(tmp_path: Path, heard: Manager) -> None:
    config = '[server]\nport = 0\n[[teams]]\nid = "t"\nfactory = "nowhere:nothing"\n'
    with pytest.raises(AssertionError, match="nowhere"):
        async with serving_process(config, tmp_path, NOTIFY_SOCKET=heard.address):
            pass
    (told,) = heard.hear_all()
    assert told.keys() == {"STATUS"}
    assert told["STATUS"].startswith("NOT STARTED: [[teams]] #1 (t) factory: ")


async def test_only_the_parent_of_workers_notifies(tmp_path: Path, heard: Manager, provider: ScriptedProvider) -> None:
    config = config_toml(provider, "workers = 2\ndrain_s = 0.5")
    variables = {"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": ""}
    async with serving_process(config, tmp_path, **variables) as server:
        await heard.until(lambda message: "READY" in message)
        workers = {line["pid"] for line in server.named("worker_ready")}
        assert len(workers) == 2
        for pid in workers:
            assert not variables.keys() & started_with(pid)
        async with asking(server.url, "hi", model="solo") as one, asking(server.url, "hi", model="solo") as two:
            await asyncio.gather(anext(one.pieces()), anext(two.pieces()))
            await heard.until(lambda message: message.get("STATUS", "").startswith("2 runs, 2 viewers"))
            server.process.terminate()
            await heard.until(lambda message: "STOPPING" in message and "EXTEND_TIMEOUT_USEC" in message)
            await asyncio.gather(one.read_all(), two.read_all())
        assert await server.end() == 0
    assert heard.pids == {server.process.pid}


async def test_a_worker_with_a_blocked_loop_is_replaced_and_the_others_go_on(heard: Manager) -> None:
    """One of the two of `tiny_parent` never says that its loop turns."""
    environment = {**os.environ, "NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "3000000"}
    command = (sys.executable, "-m", "tests.service.tiny_parent", "one-blocked")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines: list[bytes] = []
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not any(b"worker_ended" in line for line in lines):
                lines.append(await process.stdout.readline())
    finally:
        process.terminate()
        output, _ = await process.communicate()
    lines += output.splitlines()
    (told,) = [line for line in lines if b"worker_ended" in line and b"status=-6" in line]
    assert b"worker=2" in told
    messages = heard.hear_all()
    assert messages[0] == {"READY": "1"}
    assert sum("WATCHDOG" in message for message in messages) >= 2
