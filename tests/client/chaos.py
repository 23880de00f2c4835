"""A TCP proxy that breaks connections: each one gets the next fate of a list; without a fate it passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

How = Literal["close", "reset", "stall"]


@dataclass(frozen=True, slots=True)
class Fate:
    """After so many bytes of responses, the connection ends, or stays open without passing more."""

    after_bytes: int
    how: How


@dataclass(slots=True)
class Chaos:
    """`url` leads through the proxy. `passed` counts the bytes of responses on each connection."""

    url: str = ""
    fates: list[Fate] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def break_all(self) -> None:
        """Reset every connection that there is."""
        for writer in self.open:
            writer.transport.abort()

    async def serve(self, target: tuple[str, int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fate = self.fates.pop(0) if self.fates else None
        number = len(self.passed)
        self.passed.append(0)
        up_reader, up_writer = await asyncio.open_connection(*target)
        asking = asyncio.create_task(_copy(reader, up_writer))
        self.open.add(writer)
        try:
            await self._answer(number, fate, up_reader, writer)
        finally:
            asking.cancel()
            self.open.discard(writer)
            up_writer.transport.abort()
            if fate and fate.how == "reset":
                writer.transport.abort()
            writer.close()

    async def _answer(
        self, number: int, fate: Fate | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        left = fate.after_bytes if fate else None
        with suppress(ConnectionError):
            while left != 0 and (piece := await reader.read(65536 if left is None else min(left, 65536))):
                writer.write(piece)
                await writer.drain()
                self.passed[number] += len(piece)
                left = None if left is None else left - len(piece)
            if fate and fate.how == "stall":
                await asyncio.sleep(60)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def chaos(url: str, *fates: Fate) -> AsyncIterator[Chaos]:
    """A proxy in front of the server at that URL."""
    parts = urlsplit(url)
    target = (parts.hostname or "", parts.port or 0)
    proxy = Chaos(fates=list(fates))
    tasks: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(target, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
    finally:
        server.close()
        await _end(tasks)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tuple(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
