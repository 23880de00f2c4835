"""PostgreSQL's walls: every session is read-only and timed by the server, every transaction READ ONLY.

https://www.postgresql.org/docs/current/runtime-config-client.html; the role should have no right to write besides.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from aiostream_server.tools.sql.walls import Watch

_CONNECT_TIMEOUT_S: Final = 10.0
_POOL_SIZE: Final = 5
_LOCK_TIMEOUT_S: Final = 2.0


class PostgresWalls:
    def __init__(self, url: URL, *, timeout_s: float) -> None:
        settings = {
            "application_name": "aiostream-server",
            "default_transaction_read_only": "on",
            "statement_timeout": _milliseconds(timeout_s),
            "lock_timeout": _milliseconds(min(timeout_s, _LOCK_TIMEOUT_S)),
            "idle_in_transaction_session_timeout": _milliseconds(2 * timeout_s),
            "standard_conforming_strings": "on",  # the guard reads a backslash as a backslash
        }
        self._engine: Final = create_async_engine(
            url,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_timeout=_CONNECT_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"timeout": _CONNECT_TIMEOUT_S, "server_settings": settings},
            execution_options={"postgresql_readonly": True},
        )

    @asynccontextmanager
    async def connect(self, watch: Watch) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    connect_for_schema = connect

    async def close(self) -> None:
        await self._engine.dispose()


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would mean no limit
