"""What an administrator sees of the unit: its metrics, a reload that fails, a start that fails, its limit of memory."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.kit.waiting import wait_for
from tests.systemd import box

pytestmark = pytest.mark.alone
CONFIGS = Path(__file__).parents[2] / "configs"


@contextmanager
def broken_configuration() -> Iterator[None]:
    config = box.path(box.CONFIG)
    sound = config.read_text()
    config.write_text(sound + "\n[nonsense]\nx = 1\n")
    try:
        yield
    finally:
        config.write_text(sound)


async def metrics() -> str:
    async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:9464/metrics") as response:
        assert response.status == 200
        return await response.text()


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"\b(?:aiostream|process)_[a-z_]+", path.read_text("utf-8")))


async def test_every_metric_of_the_dashboard_and_of_the_alerts_is_there(session: aiohttp.ClientSession) -> None:
    """Those of the process, too, from which the unit hides /proc/stat."""
    assert "15" in await box.ask(session, "What is 3 * 5?")
    told = await metrics()
    families = set(re.findall(r"^# TYPE (\S+) ", told, re.MULTILINE))
    asked = names_in(CONFIGS / "prometheus" / "alerts.yml") | names_in(CONFIGS / "grafana" / "aiostream-server.json")
    bare = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in asked}
    assert len(bare) > 30
    missing = bare - families - {name.removesuffix("_total") for name in families}
    assert {name for name in missing if name.removesuffix("_total") not in families} == set()
    for name in ("cpu_seconds_total", "start_time_seconds", "resident_memory_bytes", "open_fds", "max_fds"):
        assert float(re.findall(rf"^process_{name} (\S+)$", told, re.MULTILINE)[0]) > 0
    (started,) = re.findall(r"^process_start_time_seconds (\S+)$", told, re.MULTILINE)
    assert abs(time.time() - float(started)) < 3600


async def test_a_reload_of_a_broken_configuration_fails_and_says_why(session: aiohttp.ClientSession) -> None:
    pid, since = box.shown("MainPID"), time.time()
    with broken_configuration():
        with pytest.raises(AssertionError, match="status 1"):
            await box.systemctl("reload", box.SERVICE)
        await wait_for(lambda: "RELOAD FAILED: " in box.shown("StatusText"), "the status tells it", every_s=0.1)
        assert "nonsense" in box.shown("StatusText")
        assert "nonsense" in await asyncio.to_thread(box.journal, since)
        assert "aiostream_config_last_reload_successful 0.0" in await metrics()
        assert "15" in await box.ask(session, "What is 3 * 5?")
        assert box.shown("MainPID") == pid
    await box.systemctl("reload", box.SERVICE)
    await wait_for(lambda: "RELOAD FAILED" not in box.shown("StatusText"), "the status is well again", every_s=0.1)
    assert "aiostream_config_last_reload_successful 1.0" in await metrics()
    assert box.shown("MainPID") == pid


async def test_why_a_restart_failed_stands_in_the_journal_of_the_unit_that_was_started(
    session: aiohttp.ClientSession,
) -> None:
    since = time.time()
    with broken_configuration(), pytest.raises(AssertionError, match="status 1"):
        await box.systemctl("start", "aiostream-server-restart.service")
    assert "nonsense" in await asyncio.to_thread(box.journal, since, "aiostream-server-restart.service")
    assert "15" in await box.ask(session, "What is 3 * 5?")


async def test_what_cannot_start_says_why_in_its_status(session: aiohttp.ClientSession) -> None:
    with broken_configuration():
        box.run("systemctl", "restart", "--no-block", box.SERVICE)
        await wait_for(lambda: "NOT STARTED: " in box.shown("StatusText"), "the status says why", every_s=0.05)
        assert "nonsense" in box.shown("StatusText")
    assert "15" in await box.ask(session, "What is 3 * 5?")


async def test_a_configuration_that_only_root_can_read_says_to_whom_it_is_forbidden(
    session: aiohttp.ClientSession,
) -> None:
    """As `sed -i` and editors leave it, with a umask of 077."""
    config = box.path(box.CONFIG)
    config.chmod(0o600)
    try:
        with pytest.raises(AssertionError, match="status 1"):
            await box.systemctl("reload", box.SERVICE)
        box.run("systemctl", "restart", "--no-block", box.SERVICE)
        await wait_for(lambda: "NOT STARTED: " in box.shown("StatusText"), "the status says why", every_s=0.05)
        assert "server.toml: cannot be read: permission denied for the user" in box.shown("StatusText")
    finally:
        config.chmod(0o644)
    assert "15" in await box.ask(session, "What is 3 * 5?")


async def test_a_new_credential_takes_a_restart_and_the_reload_says_so(session: aiohttp.ClientSession) -> None:
    config, secret = box.path(box.CONFIG), box.path("/etc/aiostream-server/credentials/late")
    sound, since = config.read_text(), time.time()
    secret.write_text("sk-late")
    secret.chmod(0o600)
    model = '[models.late]\nprovider = "openai"\nmodel = "m"\napi_key_file = "$CREDENTIALS_DIRECTORY/secret_late"\n'
    config.write_text(f"{sound}\n{model}")
    try:
        box.run("systemctl", "reload", box.SERVICE, check=False)
        await wait_for(lambda: "RELOAD FAILED: " in box.shown("StatusText"), "the status tells it", every_s=0.1)
        assert "one that is new takes a restart" in await asyncio.to_thread(box.journal, since)
        await box.systemctl("restart", box.SERVICE)
        assert "15" in await box.ask(session, "What is 3 * 5?")
    finally:
        config.write_text(sound)
        secret.unlink()
        await box.systemctl("restart", box.SERVICE)


def test_no_library_looks_for_files_in_a_home_that_the_unit_forbids() -> None:
    """`ProtectHome=` makes a question for a file below /home an error."""
    environ = Path("/proc", str(box.main_pid()), "environ").read_bytes().split(b"\0")
    assert b"HOME=/" in environ


def test_memory_has_a_limit_below_that_of_the_machine(key: str) -> None:
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    machine_bytes = int(total.split()[1]) * 1024
    high, most = int(box.shown("MemoryHigh")), int(box.shown("MemoryMax"))
    assert 0.6 * machine_bytes < high < most < 0.9 * machine_bytes
