"""A server that answers every connection with fixed bytes, whatever it is asked, and then leaves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def raw_server(*pieces: bytes, abort: bool = False) -> AsyncIterator[str]:
    """Its URL. The pieces go out one by one; `abort` resets the connection instead of closing it."""
    answering: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        with suppress(ConnectionError):  # a client need not wait for all of it
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
            if abort:
                writer.transport.abort()
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, answering))


def stream_of(*lines: bytes) -> Sequence[bytes]:
    """A head without a length: the body ends with the connection. Then each line, as an event."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return [head, *(line + b"\n\n" for line in lines)]


def piece(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}' % text.encode()
