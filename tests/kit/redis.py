"""A real Redis for the tests: Debian's package, Valkey, or the oldest version that is supported, started in a temporary
folder, on a free port and a unix socket; and Sentinels and a cluster of them.

It touches no other Redis of the machine. A test that pauses, kills or fills one starts its own.
"""

import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.kit.needs import REDIS_PROGRAMS, needs, require
from tests.kit.process import free_port

if TYPE_CHECKING:  # what it imports takes a second
    from tests.kit.tls import Files

_START_S: Final = 30.0

STORES: Final = tuple(pytest.param(name, marks=needs(name)) for name in REDIS_PROGRAMS)
"""Parameters of tests that run with each kind of server: names for `redis_servers`."""


@dataclass(slots=True)
class RedisServer:
    """`options` are lines of its configuration. `password` is that of the default user; empty: none. With `tls` it
    listens at `tls_port`, too, and asks for a client certificate of that authority."""

    folder: Path
    kind: str = "redis"
    tls: "Files | None" = None
    tls_port: int = field(default_factory=free_port)
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
            *([] if any(line.startswith("sentinel ") for line in self.options) else ['save ""']),
            *([f'requirepass "{self.password}"'] if self.password else []),
            *self._tls_options(),
            *self.options,
        ]
        settings = self.folder / "redis.conf"
        settings.write_text("\n".join(lines) + "\n")
        program = REDIS_PROGRAMS[self.kind]()
        assert program is not None
        mode = ["--sentinel"] if any(line.startswith("sentinel ") for line in self.options) else []
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([program, str(settings), *mode], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while self.command("ping") != "PONG":
            assert time.monotonic() < deadline, (self.folder / "redis.log").read_text()
            time.sleep(0.01)

    def _tls_options(self) -> list[str]:
        if self.tls is None:
            return []
        files = {"cert": self.tls.certificate, "key": self.tls.key, "ca-cert": self.tls.authority}
        return [f"tls-port {self.tls_port}", *(f"tls-{name}-file {path}" for name, path in files.items())]

    def command(self, *words: str) -> str:
        """What redis-cli prints for it."""
        asked = ["redis-cli", "-s", str(self.socket), *words]
        env = {**os.environ, **({"REDISCLI_AUTH": self.password} if self.password else {})}
        return subprocess.run(
            asked, capture_output=True, text=True, errors="replace", env=env, check=False
        ).stdout.strip()

    def last_event(self, run_key: str) -> int:
        """The number of the last event of the run with this key; 0 where it has none."""
        return int(self.command("lindex", f"{run_key}:log", "-1").partition(" ")[0] or 0)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, without saving anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running_redis(
    *options: str, password: str = "", kind: str = "redis", tls: "Files | None" = None
) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="redis-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        server = RedisServer(Path(folder), kind, tls, password=password, options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextmanager
def running_pair() -> Iterator[tuple[RedisServer, RedisServer, list[RedisServer]]]:
    """A primary, its replica, and three Sentinels that call the pair `mine`."""
    with ExitStack() as stack:
        primary = stack.enter_context(running_redis())
        replica = stack.enter_context(running_redis(f"replicaof 127.0.0.1 {primary.port}"))
        _until(lambda: "master_link_status:up" in replica.command("info", "replication"), "the replica to be in step")
        watching = (
            f"sentinel monitor mine 127.0.0.1 {primary.port} 2",
            "sentinel down-after-milliseconds mine 500",
            "sentinel failover-timeout mine 5000",
        )
        sentinels = [stack.enter_context(running_redis(*watching)) for _ in range(3)]
        for each in sentinels:
            _until(lambda each=each: "slaves=1,sentinels=3" in each.command("info", "sentinel"), "the Sentinels")  # type: ignore[misc]
        yield primary, replica, sentinels


def _follow(replica: RedisServer, primary: RedisServer) -> None:
    name = primary.command("cluster", "myid")
    _until(lambda: replica.command("cluster", "replicate", name) == "OK", "a node that the replica knows")
    _until(lambda: "link_status:up" in replica.command("info", "replication"), "the replica to be in step")


@contextmanager
def running_redis_cluster(*, replicas: bool = False, timeout_ms: int = 5000) -> Iterator[list[RedisServer]]:
    """Three primaries, each with a third of the slots; with `replicas` behind them one of each, in the same order."""
    with ExitStack() as stack:
        buses = [free_port() for _ in range(6 if replicas else 3)]
        options = ("cluster-enabled yes", f"cluster-node-timeout {timeout_ms}", "cluster-replica-validity-factor 0")
        nodes = [stack.enter_context(running_redis(*options, f"cluster-port {bus}")) for bus in buses]
        for number, node in enumerate(nodes[:3]):
            first, last = number * 5461, 16383 if number == 2 else number * 5461 + 5460
            node.command("cluster", "addslotsrange", str(first), str(last))
        for node in nodes[1:]:
            node.command("cluster", "meet", "127.0.0.1", str(nodes[0].port), str(buses[0]))
        for node in nodes:
            _until(lambda node=node: "cluster_state:ok" in node.command("cluster", "info"), "a whole cluster")  # type: ignore[misc]
        for primary, replica in zip(nodes, nodes[3:], strict=False):
            _follow(replica, primary)
        yield nodes


RedisServers = Callable[[str], RedisServer]
"""One server of each kind for the whole test session, by its name in `STORES`."""


@pytest.fixture(scope="session")
def redis_servers() -> Iterator[RedisServers]:
    with ExitStack() as stack:
        running: dict[str, RedisServer] = {}

        def server(kind: str) -> RedisServer:
            if kind not in running:
                require(kind)
                running[kind] = stack.enter_context(running_redis(kind=kind))
            return running[kind]

        yield server


@pytest.fixture(scope="session")
def shared_redis(redis_servers: RedisServers) -> RedisServer:
    """One for the whole test session. Tests use prefixes of their own: `redis_prefix`."""
    return redis_servers("redis")


@pytest.fixture
def redis_prefix() -> str:
    return f"test-{secrets.token_hex(6)}"
