"""A server that answers every request with fixed bytes and closes the connection."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def raw_server(*answers: Sequence[bytes], abort: bool = False) -> AsyncIterator[str]:
    """The URL of the server. The n-th connection gets the n-th answer, later ones the last one, piece by piece. `abort`
    resets the connection instead of closing it."""
    answering: set[asyncio.Task[None] | None] = set()
    waiting = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        pieces = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client may leave before the end
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            if abort:
                writer.transport.abort()
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, answering))


def stream_of(*events: bytes) -> Sequence[bytes]:
    """A response without a length, which ends with the connection, and then each event."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Run-Id: run-1\r\nConnection: close\r\n\r\n"
    return [head, *(event + b"\n\n" for event in events)]


def token(seq: int, text: str) -> bytes:
    return b'data: {"seq":%d,"type":"token","agent":"A","content":"%s","kind":"message"}' % (seq, text.encode())


def refusal_of(status: int, body: bytes, *headers: bytes) -> Sequence[bytes]:
    head = [b"HTTP/1.1 %d Busy" % status, b"Content-Length: %d" % len(body), b"Connection: close", *headers]
    return [b"\r\n".join(head) + b"\r\n\r\n" + body]


FINISHED = b'data: {"seq":%d,"type":"run_finished","reason":"stop","usage":{},"duration_s":0.5}'
