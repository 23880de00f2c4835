"""A real PostgreSQL for the tests: Debian's package, started in a temporary folder, with the demo shop in it.

PostgreSQL refuses to run as root, so there it runs as the user `postgres`. It has its own folder and
loopback port, touches no other cluster of the machine, and is stopped at the end.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiostream_server.tools.sql.shop import SCHEMA, TableRows, shop_tables
from tests.kit.needs import find_postgres, require
from tests.kit.process import free_port

_COMMAND_TIMEOUT_S = 60
_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=16MB",
    "max_connections=40",
    "listen_addresses=127.0.0.1",
)


@contextmanager
def running_postgres(binaries: Path) -> Iterator[str]:
    """The URL of a database with the shop, for a superuser. The database `kept` beside it is empty."""
    with running_cluster(binaries) as cluster:
        yield cluster.url


@contextmanager
def running_cluster(
    binaries: Path, *settings: str, hba: str | None = None, files: Mapping[str, Path] | None = None
) -> Iterator["Cluster"]:
    """A cluster that a test may restart. `hba` are the lines of its pg_hba.conf; `files` are copied into its folder."""
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if os.getuid() == 0:
            shutil.chown(home, "postgres")
        home.chmod(0o755)  # for clients of its socket
        cluster = Cluster(binaries, home, free_port(), secrets.token_hex(8), settings)
        cluster.initialise()
        for name, source in (files or {}).items():
            cluster.add_file(name, source)
        if hba is not None:
            (cluster.data / "pg_hba.conf").write_text(hba)
        cluster.start()
        try:
            cluster.load(f"{_shop_as_sql()}\nCREATE DATABASE kept;")
            yield cluster
        finally:
            cluster.stop()


@dataclass(frozen=True, slots=True)
class Cluster:
    """`folder` also has its socket. The superuser is `tester`."""

    binaries: Path
    folder: Path
    port: int
    password: str
    settings: Sequence[str] = ()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/postgres"

    def initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if os.getuid() == 0:
            shutil.chown(secret, "postgres")
        arguments = [
            "--username=tester",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--no-locale",
        ]
        self._run("initdb", f"--pgdata={self.data}", *arguments, "--no-sync")

    def add_file(self, name: str, source: Path) -> None:
        """Copy a file, such as the key of its certificate, that only the server can read."""
        target = self.data / name
        shutil.copyfile(source, target)
        if os.getuid() == 0:
            shutil.chown(target, "postgres")
        target.chmod(0o600)

    def start(self) -> None:
        settings = (*_SETTINGS, f"port={self.port}", f"unix_socket_directories={self.folder}", *self.settings)
        options = " ".join(f"-c {setting}" for setting in settings)
        log = self.folder / "server.log"
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self.data}", f"--log={log}", f"--options={options}")

    def load(self, sql: str) -> None:
        url = f"postgresql://tester:{self.password}@/postgres?host={self.folder}&port={self.port}"
        self._run("psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={url}", text=sql)

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}", f"--pgdata={self.data}")

    def _run(self, command: str, *arguments: str, text: str = "") -> None:
        line = [*_as_postgres(), str(self.binaries / command), *arguments]
        # Output goes to a file: the server would inherit a pipe, and reading it would wait for the server's end.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                line,
                input=text,
                text=True,
                stdout=output,
                stderr=output,
                timeout=_COMMAND_TIMEOUT_S,
                cwd=self.folder,
                check=False,
            )
            output.seek(0)
            assert done.returncode == 0, f"{command} failed: {output.read()}"


def _as_postgres() -> Sequence[str]:
    return ("runuser", "--user", "postgres", "--") if os.getuid() == 0 else ()


def _shop_as_sql() -> str:
    return SCHEMA + "\n".join(_insert(table, rows) for table, rows in shop_tables().items())


def _insert(table: str, rows: TableRows) -> str:
    values = ",\n".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
    return f"INSERT INTO {table} VALUES\n{values};"


def _literal(value: int | float | str) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL with the demo shop, for the whole test session."""
    require("postgres")
    binaries = find_postgres()
    assert binaries is not None
    with running_postgres(binaries) as url:
        yield url
