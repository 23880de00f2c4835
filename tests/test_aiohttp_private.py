"""What a live stream does not keep of aiohttp's connections: the names in aiohttp, and that connections work on."""

import asyncio
from collections import deque

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiostream_server.aiohttp_private import (
    IS_KNOWN,
    ShortQueue,
    read_all,
    shrink_connection,
    shrink_request,
    shrink_response,
)


def test_aiohttp_has_these_attributes() -> None:
    assert IS_KNOWN


async def test_the_requests_behind_a_shrunk_one_are_answered() -> None:
    """Those that had come before it was, and later ones. The connection's timer runs again between them."""
    timers: list[bool] = []

    async def handle(request: web.Request) -> web.Response:
        said = await request.text()
        shrink_request(request)
        timers.append(request.protocol._keepalive_handle is not None)
        await asyncio.sleep(0)
        return web.Response(text=f"{said}\n")

    app = web.Application()
    app.router.add_post("/", handle)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for batch in (("one", "two", "three"), ("four",)):
            for said in batch:
                writer.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())
            for said in batch:
                assert (await reader.readuntil(f"{said}\n".encode())).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert timers == [False] * 4


async def test_a_shrunk_response_is_read_as_any_other_and_its_connection_used_again() -> None:
    """In many small chunks, of which more come at once than aiohttp takes before it pauses."""
    chunks = [b"%d " % number for number in range(20_000)]

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        transport = request.transport
        assert transport is not None
        for start in range(0, len(chunks), 5_000):
            transport.write(b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks[start : start + 5_000]))
            await asyncio.sleep(0)
        return response

    app = web.Application()
    app.router.add_get("/", handle)
    connections = set()
    async with TestServer(app) as server, aiohttp.ClientSession(read_bufsize=4_096) as session:
        for _ in range(2):
            response = await session.get(server.make_url("/"))
            assert response.connection is not None
            protocol = response.connection.protocol
            assert protocol is not None
            connections.add(protocol)
            shrink_response(response)
            shrink_connection(protocol)
            assert not [each for each in (response.content._buffer, protocol._buffer) if isinstance(each, deque)]
            received = [read_all(response.content, protocol)]
            while not response.content.at_eof():
                received.append(read_all(response.content, protocol))
                await asyncio.sleep(0)
            assert b"".join(received) == b"".join(chunks)
    assert len(connections) == 1


def test_a_short_queue_is_a_queue() -> None:
    queue = ShortQueue([1, 2])
    queue.append(3)
    assert [queue.popleft() for _ in range(3)] == [1, 2, 3]
    assert not queue
