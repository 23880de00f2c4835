"""A way to PostgreSQL on which sessions end as by an administrator, behind any message of the server."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

_FIELDS: Final = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
_LAST_WORDS: Final = b"E" + struct.pack("!I", 4 + len(_FIELDS)) + _FIELDS


class EndedSessions:
    """Ends a session once, behind message number `after` of the server from the time when that is set."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.after: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[int]:
        """The port to connect to, without TLS."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._tasks |= {asyncio.create_task(_pass_on(reader, back)), asyncio.create_task(self._answer(there, writer))}

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while self.after != 0:
                head = await reader.readexactly(5)  # of each message after a start without TLS: its type, its length
                message = head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if self.after is not None:
                    self.after -= 1
                writer.write(message + (_LAST_WORDS if self.after == 0 else b""))  # together: both are read at once
                await writer.drain()
            self.after = None
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
