"""Opens the conversation database: creates it if there is none, and migrates its schema to that of this version.

SQLite keeps its journal as WAL: readers and a writer do not wait for each other, in any number of processes of one
machine; the file must not lie on a network drive. https://www.sqlite.org/wal.html

One process at a time migrates, in one transaction: all or nothing. alembic takes 0.1 s to import, so it is imported
only if there is something to do.
"""

import asyncio
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.engine import URL

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.database import DATABASE_ERRORS, find_url, open_link, reason
from aiostream_server.store.schema import HEAD, VERSION_TABLE

_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 0.02
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_MIGRATION_TIMEOUT_S: Final = 600.0  # for all migrations, and for those of another process
_LOCK: Final = text(f"SELECT pg_advisory_xact_lock({0x61696F73})")  # until the end of the transaction


async def prepare_database(config: ConversationsConfig, state_directory: Path, *, must_exist: bool) -> URL:
    """Returns the URL of a database with the schema of this version.

    Raises `ConfigError`, with one line without a password.
    """
    url = find_url(config, state_directory)
    try:
        if url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_prepare, url, config, state_directory, must_exist)
        await asyncio.to_thread(_migrate, url)
    except (*DATABASE_ERRORS, TypeError, ValueError) as exc:  # asyncpg's for a URL that it does not understand
        name = url.database or "the database"
        shown = name if url.get_backend_name() == "sqlite" else f"{name} on {url.host or 'the local socket'}"
        raise ConfigError([f"[conversations] {shown} cannot be opened: {reason(exc, url)}"]) from exc
    return url


def _prepare(url: URL, config: ConversationsConfig, state_directory: Path, must_exist: bool) -> None:
    path = Path(url.database or "")
    if must_exist and not path.exists():
        where = "or another folder (the service's: STATE_DIRECTORY=/var/lib/aiostream-server)"
        raise ConfigError([f"[conversations] there is no {path}: a server that has kept nothing, {where}"])
    if config.resolved_url is None:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_file(path, timeout_s=_TIMEOUT_S)


def prepare_file(path: Path, *, timeout_s: float) -> None:
    """Create the file, for its owner only, unless it exists, and set its journal to WAL. Blocks.

    Raises `OSError`, and `sqlite3.Error`, also for a file that is not SQLite's. The journal files get the file's mode.
    """
    # Exclusively: closing a file gives up all locks that the process has on it, so it must not be open already.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    deadline = time.monotonic() + timeout_s
    with closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as exc:  # SQLite does not wait if two processes make the change at once
                if exc.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY_S)


def _migrate(url: URL) -> None:
    link = open_link(url, timeout_s=_MIGRATION_TIMEOUT_S)
    try:
        if link.transact(read_version) != HEAD:
            link.transact(_upgrade, writes=True)
    finally:
        link.close()


def read_version(connection: Connection) -> str | None:
    """The migration that was applied last; None for none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)
    version = read_version(connection)  # another process may have migrated while we waited
    if version is not None and version > HEAD:
        known = f"its schema is {version}, and this version knows {HEAD}"
        raise ValueError(
            f"a newer version of aiostream-server has used it ({known}): install that one, or name another url"
        )
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
