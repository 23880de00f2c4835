"""The database of the conversation store: connections, transactions with one writer at a time, and its errors.

SQLite: a commit is on the disk when it returns (WAL, synchronous = FULL). PostgreSQL: `synchronous_commit` decides; its
default is "on".
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import event, func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from aiostream_server.store.database_url import secrets_of
from aiostream_server.text import clipped, one_line

_CONNECT_TIMEOUT_S: Final = 10.0
_POOL_SIZE: Final = 4

DATABASE_ERRORS: Final = (
    # SQLAlchemy lets asyncpg's own errors through while it connects; a deadline that passed is an OSError.
    *(SQLAlchemyError, sqlite3.Error, sqlite3.Warning, asyncpg.PostgresError, asyncpg.InterfaceError, OSError),
)
OPENING_ERRORS: Final = (*DATABASE_ERRORS, TypeError, ValueError)
"""asyncpg raises the last two for a URL that it does not understand."""

_MAX_CHARS: Final = 300


class ConversationsUnavailable(Exception):
    """The database could not be reached, is full, locked for too long, or damaged.

    The text is one line for a log: no SQL, no values, no password.
    """


class ConversationDatabase:
    """Opens a connection when it is used first. Every failure is a `ConversationsUnavailable`."""

    def __init__(self, url: URL, *, timeout_s: float) -> None:
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._secrets = secrets_of(url)
        self._engine: Final = make_engine(url, timeout_s=timeout_s)
        self._writer: Final = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for one SELECT."""
        try:
            async with self._engine.connect() as connection:
                yield connection
        except DATABASE_ERRORS as exc:
            raise ConversationsUnavailable(reason(exc, self._secrets)) from exc

    @asynccontextmanager
    async def writing(self, name: str | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block.

        Two transactions of the same `name` never run at once, in any process; on SQLite no two at all, from the first
        statement that writes.
        """
        try:
            async with self._turn(), self._engine.begin() as connection:
                if name is not None and not self._is_sqlite:
                    await connection.execute(select(func.pg_advisory_xact_lock(_lock_number(name))))
                yield connection
        except DATABASE_ERRORS as exc:
            raise ConversationsUnavailable(reason(exc, self._secrets)) from exc

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """On SQLite, writers of this process queue here; SQLite itself only polls every few milliseconds."""
        if not self._is_sqlite:
            yield
            return
        async with self._writer:
            yield


def make_engine(url: URL, *, timeout_s: float, pooled: bool = True) -> AsyncEngine:
    """`timeout_s` bounds one statement on PostgreSQL, and the wait for other processes' writes on SQLite."""
    pool: dict[str, Any] = {"poolclass": NullPool}
    if pooled:
        limits = {"pool_size": _POOL_SIZE, "max_overflow": 0, "pool_timeout": _CONNECT_TIMEOUT_S}
        pool = {"poolclass": AsyncAdaptedQueuePool, **limits}
    if url.get_backend_name() != "sqlite":
        waits = {"timeout": _CONNECT_TIMEOUT_S, "command_timeout": timeout_s}
        named = {"server_settings": {"application_name": "aiostream-server"}}
        return create_async_engine(url, connect_args=waits | named, pool_pre_ping=True, **pool)
    # IMMEDIATE: SQLite refuses to wait with a transaction that has read before it writes.
    engine = create_async_engine(url, connect_args={"timeout": timeout_s, "isolation_level": "IMMEDIATE"}, **pool)
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _lock_number(name: str) -> int:
    """PostgreSQL's advisory locks have numbers of 64 bits; `name` is a hash."""
    return int.from_bytes(bytes.fromhex(name)[:8], signed=True)


def reason(error: BaseException, secrets: Collection[str] = ()) -> str:
    """The driver's message in one line; only the class of the error if the message repeats a secret."""
    said = getattr(error, "orig", None) or error
    text = str(said).rpartition(">: ")[2]  # asyncpg's errors as SQLAlchemy passes them on: <class '...'>: text
    line = one_line(text) or type(said).__name__
    if any(secret in line for secret in secrets):
        return type(said).__name__
    return clipped(line, _MAX_CHARS)
