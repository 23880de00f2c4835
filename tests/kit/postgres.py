"""A real PostgreSQL for the tests: Debian's package, started in a temporary folder, with the demo shop in it.

PostgreSQL refuses to run as root, so there it runs as the user `postgres`. It has its own folder and
loopback port, touches no other cluster of the machine, and is stopped at the end.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if os.getuid() == 0:
            shutil.chown(home, "postgres")
        cluster, port = _Cluster(binaries, home), free_port()
        password = secrets.token_hex(8)
        cluster.initialise(password)
        cluster.start(port)
        try:
            cluster.load(port, password, f"{_shop_as_sql()}\nCREATE DATABASE kept;")
            yield f"postgresql://tester:{password}@127.0.0.1:{port}/postgres"
        finally:
            cluster.stop()


class _Cluster:
    def __init__(self, binaries: Path, home: Path) -> None:
        self._binaries = binaries
        self._home = home
        self._data = home / "data"

    def initialise(self, password: str) -> None:
        secret = self._home / "password"
        secret.write_text(password)
        if os.getuid() == 0:
            shutil.chown(secret, "postgres")
        arguments = [
            "--username=tester",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--no-locale",
        ]
        self._run("initdb", f"--pgdata={self._data}", *arguments, "--no-sync")

    def start(self, port: int) -> None:
        options = " ".join(
            f"-c {setting}" for setting in (*_SETTINGS, f"port={port}", f"unix_socket_directories={self._home}")
        )
        log = self._home / "server.log"
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self._data}", f"--log={log}", f"--options={options}")

    def load(self, port: int, password: str, sql: str) -> None:
        url = f"postgresql://tester:{password}@127.0.0.1:{port}/postgres"
        self._run("psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={url}", text=sql)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={self._data}")

    def _run(self, command: str, *arguments: str, text: str = "") -> None:
        line = [*_as_postgres(), str(self._binaries / command), *arguments]
        # Output goes to a file: the server would inherit a pipe, and reading it would wait for the server's end.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                line,
                input=text,
                text=True,
                stdout=output,
                stderr=output,
                timeout=_COMMAND_TIMEOUT_S,
                cwd=self._home,
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
