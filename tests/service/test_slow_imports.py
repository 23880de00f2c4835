"""A module that hangs when it is imported: its line is told, and a start that waits for it ends soon after a signal."""

import asyncio
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from aiostream_server.service.slow_imports import place_of_import, telling_slow_imports
from tests.kit.process import ServerProcess, start
from tests.kit.waiting import wait_for


def test_the_line_that_an_import_is_at_is_told_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "slow_to_import.py"
    module.write_text("import threading\n\nthreading.released_by_the_test.wait(60)\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    release, told = threading.Event(), list[str]()
    monkeypatch.setattr(threading, "released_by_the_test", release, raising=False)

    def hear(place: str, waited_s: float) -> None:
        assert waited_s > 0
        told.append(place)
        release.set()

    with telling_slow_imports(hear, first_s=0.05):
        __import__("slow_to_import")
    assert told == [f"{module}:3"]
    assert place_of_import() is None
    del sys.modules["slow_to_import"]


async def test_a_server_that_is_starting_ends_soon_after_a_signal(tmp_path: Path) -> None:
    """It serves nobody whom it could break off. systemd sends the signal once its start timeout is over."""
    (tmp_path / "hanging.py").write_text(
        "import time\nfrom pathlib import Path\n\nPath(__file__).with_name('here').touch()\ntime.sleep(600)\n", "utf-8"
    )
    path = tmp_path / "server.toml"
    path.write_text('[server]\nport = 0\n[[teams]]\nid = "a"\nfactory = "hanging:build"\n', "utf-8")
    process = await start(
        "serve", "--config", str(path), state_directory=tmp_path, stdout=asyncio.subprocess.DEVNULL, extra={}
    )
    server = ServerProcess(process)
    try:
        await wait_for((tmp_path / "here").exists, "the module is imported", within_s=60)
        signalled_at = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert time.monotonic() - signalled_at < 15  # drain_s is 25
        assert not server.named("server_ready")
    finally:
        if process.returncode is None:
            process.kill()
        await server.end()
