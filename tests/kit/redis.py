"""A real Redis for the tests: Debian's package, started in a temporary folder, on a free port and a unix socket.

It touches no other Redis of the machine. A test that pauses, kills or fills one starts its own.
"""

import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.kit.needs import find_program, require
from tests.kit.process import free_port

_START_S: Final = 30.0


@dataclass(slots=True)
class RedisServer:
    """`options` are lines of its configuration. `password` is that of the default user; empty: none."""

    folder: Path
    port: int = field(default_factory=free_port)
    password: str = ""
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{f':{self.password}@' if self.password else ''}127.0.0.1:{self.port}/0"

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    def start(self) -> None:
        """Returns when it answers. What an earlier process has saved is loaded."""
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"unixsocket {self.socket}",
            f"dir {self.folder}",
            'save ""',
            *([f'requirepass "{self.password}"'] if self.password else []),
            *self.options,
        ]
        settings = self.folder / "redis.conf"
        settings.write_text("\n".join(lines) + "\n")
        program = find_program("redis-server")
        assert program is not None
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([program, str(settings)], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while self.command("ping") != "PONG":
            assert time.monotonic() < deadline, (self.folder / "redis.log").read_text()
            time.sleep(0.01)

    def command(self, *words: str) -> str:
        """What redis-cli prints for it."""
        asked = ["redis-cli", "-s", str(self.socket), *words]
        env = {**os.environ, **({"REDISCLI_AUTH": self.password} if self.password else {})}
        return subprocess.run(asked, capture_output=True, text=True, env=env, check=False).stdout.strip()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, without saving anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def save_and_stop(self) -> None:
        """A clean stop, after which `start` finds everything again."""
        self.command("shutdown", "save")
        assert self._process is not None
        self._process.wait()
        self._process = None


@contextmanager
def running_redis(*options: str, password: str = "") -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = RedisServer(Path(folder), password=password, options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One for the whole test session. Tests use prefixes of their own: `redis_prefix`."""
    require("redis")
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_prefix() -> str:
    return f"test-{secrets.token_hex(6)}"
