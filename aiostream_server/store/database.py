"""The database of the conversation store: its URL, connections, transactions with one writer at a time, and its errors.

SQLite: a commit is on the disk when it returns (WAL, synchronous = FULL). PostgreSQL: `synchronous_commit` decides; its
default is "on".
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import asyncpg
from sqlalchemy import event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.config.postgres_problems import known_problem
from aiostream_server.config.postgres_url import read_parameters, with_plain_host
from aiostream_server.errors import ConfigError
from aiostream_server.text import clipped, one_line

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_CONNECT_TIMEOUT_S: Final = 10.0
_POOL: Final = {"pool_size": 4, "max_overflow": 0, "pool_timeout": _CONNECT_TIMEOUT_S}

DATABASE_ERRORS: Final = (
    # SQLAlchemy lets asyncpg's own errors through while it connects; a deadline that passed is an OSError.
    *(SQLAlchemyError, sqlite3.Error, sqlite3.Warning, asyncpg.PostgresError, asyncpg.InterfaceError, OSError),
)

_MAX_CHARS: Final = 300


class ConversationsUnavailable(Exception):
    """The database could not be reached, is full, locked for too long, or damaged.

    The text is one line for a log: no SQL, no values, no password.
    """


class ConversationDatabase:
    """Opens a connection when it is used first. Every failure is a `ConversationsUnavailable`."""

    def __init__(self, url: URL, *, timeout_s: float) -> None:
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._url = url
        self._engine: Final = make_engine(url, timeout_s=timeout_s)
        # Writers of this process queue here; SQLite itself only polls every few milliseconds.
        self._writer: Final = asyncio.Lock() if self._is_sqlite else nullcontext()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one SELECT."""
        with self._one_error():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self, name: str | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block.

        Two transactions of the same `name`, a hash, never run at once, in any process; on SQLite no two at all, from
        the first statement that writes.
        """
        with self._one_error():
            async with self._writer, self._engine.begin() as connection:
                if name is not None and not self._is_sqlite:
                    lock = int.from_bytes(bytes.fromhex(name)[:8], signed=True)  # its locks have numbers of 64 bits
                    await connection.execute(select(func.pg_advisory_xact_lock(lock)))
                yield connection

    async def close(self) -> None:
        await self._engine.dispose()

    @contextmanager
    def _one_error(self) -> Iterator[None]:
        try:
            yield
        except DATABASE_ERRORS as exc:
            raise ConversationsUnavailable(reason(exc, self._url)) from exc


def make_engine(url: URL, *, timeout_s: float) -> AsyncEngine:
    """`timeout_s` bounds one statement on PostgreSQL, and the wait for other processes' writes on SQLite."""
    if url.get_backend_name() != "sqlite":
        read = read_parameters(url.query, url.password)
        waits = {"timeout": _CONNECT_TIMEOUT_S, "command_timeout": timeout_s}
        more = {"server_settings": read.startup, "prepared_statement_cache_size": 0}
        arguments = waits | read.arguments | more
        engine = create_async_engine(url.set(query=read.in_url), connect_args=arguments, pool_pre_ping=True, **_POOL)
        if read.settings:
            calls = [func.set_config(name, value, True) for name, value in read.settings.items()]
            event.listen(engine.sync_engine, "begin", lambda connection: connection.execute(select(*calls)))
        return engine
    # IMMEDIATE: SQLite refuses to wait with a transaction that has read before it writes.
    engine = create_async_engine(url, connect_args={"timeout": timeout_s, "isolation_level": "IMMEDIATE"}, **_POOL)
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def reason(error: BaseException, url: URL) -> str:
    """Why, in one line: only the class of the error if the driver's message repeats the URL's password."""
    if url.get_backend_name() != "sqlite" and (known := known_problem(error)) is not None:
        return known
    said = getattr(error, "orig", None) or error
    text = str(said).rpartition(">: ")[2]  # asyncpg's errors as SQLAlchemy passes them on: <class '...'>: text
    line = one_line(text)
    secrets = filter(None, (url.password, url.query.get("password")))
    if not line or any(str(secret) in line for secret in secrets):
        return type(said).__name__
    return clipped(line, _MAX_CHARS)


def find_url(config: ConversationsConfig, state_directory: Path) -> URL:
    """The configured database with the driver that this server uses, or a file in the state directory.

    Raises `ConfigError`, which never shows the URL.
    """
    if config.resolved_url is None:
        return URL.create(_DRIVERS["sqlite"], database=str(state_directory.absolute() / "conversations.db"))
    try:
        url = make_url(with_plain_host(config.resolved_url.get_secret_value()))
    except (ArgumentError, ValueError):
        raise _wrong("it is not a database URL; write sqlite:///file or postgresql://user@host/name") from None
    scheme = url.drivername.partition("+")[0]
    if scheme not in _DRIVERS:
        raise _wrong("conversations are kept in sqlite:// and postgresql:// databases only")
    url = url.set(drivername=_DRIVERS[scheme])
    if scheme == "sqlite":
        return _checked_file(url)
    try:
        read_parameters(url.query, url.password)
    except ValueError as exc:
        raise _wrong(str(exc)) from None
    return url


def _checked_file(url: URL) -> URL:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise _wrong("a sqlite:// URL must name a file: sqlite:///relative.db or sqlite:////absolute.db")
    if url.query:
        raise _wrong("a sqlite:// URL takes no parameters")
    return url.set(database=str(Path(url.database).absolute()))


def _wrong(problem: str) -> ConfigError:
    return ConfigError([f"[conversations] url: {problem}"])
