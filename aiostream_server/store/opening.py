"""Opens the conversation database: creates it if there is none, and migrates it.

SQLite keeps its journal as WAL: readers and a writer do not wait for each other, in any number of processes of one
machine; the file must not lie on a network drive. https://www.sqlite.org/wal.html
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.database import OPENING_ERRORS, ConversationDatabase, reason
from aiostream_server.store.database_url import describe, find_url, secrets_of
from aiostream_server.store.migrate import NewerSchema, migrate

_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 0.02


@asynccontextmanager
async def open_database(
    config: ConversationsConfig, state_directory: Path, *, must_exist: bool
) -> AsyncIterator[ConversationDatabase]:
    """Raises `ConfigError`, with one line without a password."""
    url = find_url(config, state_directory)
    try:
        if url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_prepare, url, config, state_directory, must_exist)
        await migrate(url)
    except NewerSchema as exc:
        problem = f"a newer version of aiostream-server has used it ({exc}): install that one, or name another url"
        raise _cannot(url, problem) from None
    except OPENING_ERRORS as exc:
        raise _cannot(url, reason(exc, secrets_of(url))) from exc
    database = ConversationDatabase(url, timeout_s=_TIMEOUT_S)
    try:
        yield database
    finally:
        await database.close()


def _prepare(url: URL, config: ConversationsConfig, state_directory: Path, must_exist: bool) -> None:
    path = Path(url.database or "")
    if must_exist and not path.exists():
        raise ConfigError([f"[conversations] there is no {path}: a server that has kept nothing, or another folder"])
    if config.resolved_url is None:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_file(path, timeout_s=_TIMEOUT_S)


def _cannot(url: URL, problem: str) -> ConfigError:
    return ConfigError([f"[conversations] {describe(url)} cannot be opened: {problem}"])


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
            except sqlite3.OperationalError as exc:  # SQLite does not wait if two processes make the change at once
                if not _is_busy(exc) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
