"""A statement is given up at any moment: its connection to PostgreSQL is closed, whatever it waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy.engine import URL, make_url

from aiostream_server.tools.sql.backend import StatementDeadline
from aiostream_server.tools.sql.postgres_connections import PostgresConnections
from tests.kit.waiting import DEADLINE_S


class Relay:
    """A way to PostgreSQL that holds back the first thing its client sends with `word` in it, and all that follows."""

    def __init__(self, url: URL, word: bytes) -> None:
        self._server, self._word = url, word
        self.holds, self.goes_on, self.is_closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def connections(self) -> AsyncIterator[PostgresConnections]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as relay:
            port, query = relay.sockets[0].getsockname()[1], {"sslmode": "disable"}
            url = self._server.set(drivername="postgresql+asyncpg", port=port, query=query)
            yield PostgresConnections(url, timeout_s=DEADLINE_S, timezone=None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection(self._server.host, self._server.port)
        answering = asyncio.create_task(_pass_on(answers, writer))
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if self._word in data:
                    self.holds.set()
                    await self.goes_on.wait()
                server.write(data)
        self.is_closed.set()
        server.close()
        await answering


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


async def _ask(connections: PostgresConnections) -> None:
    async with connections.transaction(StatementDeadline(DEADLINE_S)) as (connection, _):
        await connection.execute("SELECT 1")


@pytest.mark.parametrize("word", [b"user\0", b"BEGIN", b"SELECT 1", b"ROLLBACK"])
async def test_its_connection_is_closed(postgres_url: str, word: bytes) -> None:
    """While it connects, too: its end waits for that."""
    relay = Relay(make_url(postgres_url), word)
    async with relay.connections() as connections, asyncio.timeout(DEADLINE_S):
        asking = asyncio.create_task(_ask(connections))
        await relay.holds.wait()
        asking.cancel()
        await asyncio.sleep(0)
        closing = asyncio.create_task(connections.close())
        await asyncio.sleep(0)
        relay.goes_on.set()
        await asyncio.wait({asking})
        await closing
        assert not connections._connecting
        await relay.is_closed.wait()
