"""A real PgBouncer in front of a test's PostgreSQL: Debian's package, one process with its own folder and port.

PgBouncer refuses to run as root, so there it runs as the user `postgres`.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import make_url

from tests.kit.needs import find_program, require
from tests.kit.process import free_port
from tests.kit.waiting import DEADLINE_S

_CONFIG: Final = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
logfile = {folder}/log
"""


@contextmanager
def running_pgbouncer(url: str, mode: Literal["transaction", "session", "statement"], size: int = 2) -> Iterator[str]:
    """`url`, of a PostgreSQL, as it is through the pooler, which has `size` connections for each user and database."""
    require("pgbouncer")
    program = find_program("pgbouncer")
    assert program is not None
    server = make_url(url)
    with tempfile.TemporaryDirectory(prefix="pgbouncer-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        config = _CONFIG.format(server_port=server.port, port=port, folder=folder, mode=mode, size=size)
        (folder / "config.ini").write_text(config)
        (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "postgres")
        process = subprocess.Popen(
            [program, "--quiet", str(folder / "config.ini")],
            stdout=subprocess.DEVNULL,
            user="postgres" if os.getuid() == 0 else None,
        )
        try:
            _wait_for(port, process)
            yield server.set(port=port).render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait(timeout=DEADLINE_S)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None, "pgbouncer ended"
            assert time.monotonic() < deadline, "pgbouncer does not listen"
            time.sleep(0.02)
        else:
            return
