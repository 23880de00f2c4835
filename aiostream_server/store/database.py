"""The database behind the conversation store: connections, and transactions of one writer at a time where that counts.

SQLite: a commit is on the disk when it returns (WAL, synchronous = FULL). PostgreSQL: as its `synchronous_commit` says,
which is "on" unless somebody changed it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import event, func, select
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from aiostream_server.store.errors import DATABASE_ERRORS, ConversationsUnavailable, reason
from aiostream_server.store.urls import secrets_of

_CONNECT_TIMEOUT_S: Final = 10.0
_POOL_SIZE: Final = 4


class Database:
    """Opens nothing before it is used. Everything that fails is a `ConversationsUnavailable`."""

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
        """A transaction that is committed at the end of the block. No two of the same `name` run at once, in any
        process; on SQLite no two at all, from their first statement that writes."""
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
        """On SQLite, writers of this process wait here in order; those of others ask every few milliseconds."""
        if not self._is_sqlite:
            yield
            return
        async with self._writer:
            yield


def make_engine(url: URL, *, timeout_s: float, pooled: bool = True) -> AsyncEngine:
    """`timeout_s`: for one statement on PostgreSQL, for other processes' writes on SQLite."""
    pool: dict[str, Any] = {"poolclass": NullPool}
    if pooled:
        limits = {"pool_size": _POOL_SIZE, "max_overflow": 0, "pool_timeout": _CONNECT_TIMEOUT_S}
        pool = {"poolclass": AsyncAdaptedQueuePool, **limits}
    if url.get_backend_name() != "sqlite":
        waits = {"timeout": _CONNECT_TIMEOUT_S, "command_timeout": timeout_s}
        named = {"server_settings": {"application_name": "aiostream-server"}}
        return create_async_engine(url, connect_args=waits | named, pool_pre_ping=True, **pool)
    # IMMEDIATE: a transaction that began as a reader may not wait for its turn to write.
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
