"""The database of the conversation store: its URL, its connections, and its errors.

SQLite: a commit is on the disk when it returns (WAL, synchronous = FULL). PostgreSQL: `synchronous_commit` decides; its
default is "on".
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import asyncpg
from sqlalchemy import Connection, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.config.postgres_problems import known_problem
from aiostream_server.config.postgres_url import read_parameters, with_plain_host
from aiostream_server.errors import ConfigError
from aiostream_server.text import clipped, one_line

_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}
_CONNECT_TIMEOUT_S: Final = 5.0
_ENDED: Final = ("57P01", "57P02", "57P05")  # by an administrator, after a crash, idle for too long

DATABASE_ERRORS: Final = (
    # SQLAlchemy lets asyncpg's own errors through while it connects; a deadline that passed is an OSError.
    *(SQLAlchemyError, sqlite3.Error, sqlite3.Warning, asyncpg.PostgresError, asyncpg.InterfaceError, OSError),
)

_T = TypeVar("_T")

_MAX_CHARS: Final = 300


class ConversationsUnavailable(Exception):
    """The database could not be reached, is full, locked for too long, or damaged.

    The text is one line for a log: no SQL, no values, no password.
    """


class NotWrittenYet(ConversationsUnavailable):
    """A turn could not be written now. It is kept in memory, where it is found, and is written as soon as possible."""


class Link(Protocol):
    """One connection, opened when it is used first and again after an error. Belongs to one thread, which it blocks."""

    def transact(self, work: Callable[[Connection], _T], *, writes: bool = False) -> _T:
        """One transaction. Raises `DATABASE_ERRORS`, and what `work` raises; then nothing was written."""

    def close(self) -> None: ...


def open_link(url: URL, *, timeout_s: float) -> Link:
    """`timeout_s` bounds one statement on PostgreSQL, and the wait for other processes' writes on SQLite."""
    is_sqlite = url.get_backend_name() == "sqlite"
    return SqliteLink(url, timeout_s=timeout_s) if is_sqlite else PostgresLink(url, timeout_s=timeout_s)


class SqliteLink:
    """Transactions that write begin as such: SQLite refuses to wait in one that has read before."""

    def __init__(self, url: URL, *, timeout_s: float) -> None:
        arguments = {"timeout": timeout_s, "isolation_level": None}  # BEGIN is ours
        self._engine: Final = create_engine(url, connect_args=arguments, pool_size=1, max_overflow=0)
        event.listen(self._engine, "connect", _set_up_sqlite)

    def transact(self, work: Callable[[Connection], _T], *, writes: bool = False) -> _T:
        try:
            with self._engine.begin() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
                return work(connection)
        except BaseException:
            self._engine.dispose()  # the file may have been replaced
            raise

    def close(self) -> None:
        self._engine.dispose()


class PostgresLink:
    """asyncpg in an event loop of the thread's own: a transaction takes no turns of the server's loop.

    The server may have closed the idle connection. Where the first statement finds that out, the transaction begins
    again on a new one. To ask before each transaction would take five of its sixteen round trips.
    """

    def __init__(self, url: URL, *, timeout_s: float) -> None:
        read = read_parameters(url.query, url.password)
        waits = {"timeout": _CONNECT_TIMEOUT_S, "command_timeout": timeout_s}
        more = {"server_settings": read.startup, "prepared_statement_cache_size": 0}
        arguments = waits | read.arguments | more
        pool = {"pool_size": 1, "max_overflow": 0}
        self._engine: Final = create_async_engine(url.set(query=read.in_url), connect_args=arguments, **pool)
        self._has_executed = False
        event.listen(self._engine.sync_engine, "after_cursor_execute", self._note_statement)
        if read.settings:
            calls = [func.set_config(name, value, True) for name, value in read.settings.items()]
            event.listen(self._engine.sync_engine, "begin", lambda connection: connection.execute(select(*calls)))
        self._loop: Final = asyncio.Runner()

    def transact(self, work: Callable[[Connection], _T], *, writes: bool = False) -> _T:
        return self._loop.run(self._transact(work))

    async def _transact(self, work: Callable[[Connection], _T]) -> _T:
        self._has_executed = False
        try:
            return await self._attempt(work)
        except DBAPIError as error:
            if self._has_executed or not _is_lost(error):
                raise
        return await self._attempt(work)

    async def _attempt(self, work: Callable[[Connection], _T]) -> _T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    def _note_statement(self, *_: object) -> None:
        self._has_executed = True

    def close(self) -> None:
        with suppress(*DATABASE_ERRORS):
            self._loop.run(self._engine.dispose())
        self._loop.close()


def _is_lost(error: DBAPIError) -> bool:
    """Whether the connection is gone, or the server has just said that it ends it."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _ENDED


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
