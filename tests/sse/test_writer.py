"""One response, one writer, over a real socket: it ends in time, whatever the client does."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from aiostream_server.errors import ClientGone
from aiostream_server.sse import writer as writers
from aiostream_server.sse.writer import SSE_HEADERS, DirectWriter, EventStream, SseWriter

_DATA_SEGMENTS_IN = 152  # where `tcpi_data_segs_in` stands: linux/tcp.h
Handler = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


@pytest.fixture(autouse=True, params=["directly", "plainly"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(writers, "WRITES_DIRECTLY", request.param == "directly")
    return bool(request.param == "directly")


@asynccontextmanager
async def handled_by(work: Handler) -> AsyncIterator[int]:
    """A server that handles every request with `work`; its port."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = EventStream(headers=SSE_HEADERS)
        await work(request, response)
        return response

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _ask(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return reader, writer


async def test_frames_arrive_as_they_are_written_with_the_headers_of_a_stream() -> None:
    go_on = asyncio.Event()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        await writer.send(b"data: 1\n\n")
        await go_on.wait()
        await writer.send(b"data: 2\n\n" * 20_000)

    async with (
        handled_by(work) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as response,
    ):
        assert response.content_type == "text/event-stream"
        assert "no-transform" in response.headers["Cache-Control"]
        assert await response.content.readexactly(9) == b"data: 1\n\n"
        go_on.set()
        assert await response.read() == b"data: 2\n\n" * 20_000


async def test_a_client_that_does_not_read_is_thrown_out_at_the_deadline() -> None:
    ended: asyncio.Future[tuple[ClientGone, float, bool]] = asyncio.get_running_loop().create_future()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=0.2)
        while True:
            started = time.monotonic()
            try:
                await writer.send(b"data: x\n\n" * 10_000)
            except ClientGone as exc:
                is_closing = request.transport is None or request.transport.is_closing()
                ended.set_result((exc, time.monotonic() - started, is_closing))
                return

    async with handled_by(work) as port:
        _, client = await _ask(port)
        error, took_s, is_closing = await asyncio.wait_for(ended, 30)
        client.close()
    assert "stopped reading" in str(error)
    assert took_s >= 0.2
    assert is_closing


async def test_a_client_that_leaves_ends_the_write_that_waits_for_it() -> None:
    ended: asyncio.Future[ClientGone] = asyncio.get_running_loop().create_future()
    backed_up = asyncio.Event()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=30)
        assert request.transport is not None
        try:
            while True:
                await writer.send(b"data: x\n\n" * 10_000)
                asyncio.get_running_loop().call_later(0.05, backed_up.set)
        except ClientGone as exc:
            ended.set_result(exc)

    async with handled_by(work) as port:
        _, client = await _ask(port)
        await backed_up.wait()
        client.transport.abort()
        error = await asyncio.wait_for(ended, 30)
    assert "closed the connection" in str(error)


async def test_nothing_is_written_to_a_connection_that_is_closing() -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        assert request.transport is not None
        request.transport.close()
        with pytest.raises(ClientGone):
            await writer.send(b"data: 1\n\n")
        ended.set_result(None)

    async with handled_by(work) as port:
        _, client = await _ask(port)
        await asyncio.wait_for(ended, 30)
        client.close()


@pytest.mark.parametrize("leave", ["abort", "close"])
async def test_a_client_that_left_before_the_headers(leave: str) -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        assert request.transport is not None
        getattr(request.transport, leave)()
        with pytest.raises(ClientGone, match="before the headers"):
            await SseWriter.open(request, response, write_timeout_s=1)
        ended.set_result(None)

    async with handled_by(work) as port:
        _, client = await _ask(port)
        await asyncio.wait_for(ended, 30)
        client.close()


async def test_a_response_that_has_ended_cannot_be_opened() -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        await response.prepare(request)
        await response.write_eof()
        with pytest.raises(ClientGone, match="before the headers"):
            await SseWriter.open(request, response, write_timeout_s=1)
        ended.set_result(None)

    async with handled_by(work) as port:
        _, client = await _ask(port)
        await asyncio.wait_for(ended, 30)
        client.close()


async def test_only_the_direct_writer_writes_without_waiting(both_ways: bool) -> None:
    """And only behind the headers, which leave with the first write."""
    written: asyncio.Future[tuple[bool, bool]] = asyncio.get_running_loop().create_future()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        assert isinstance(writer, DirectWriter) is both_ways
        before = writer.try_send(b"data: 0\n\n")
        await writer.send(b"data: 1\n\n")
        written.set_result((before, writer.try_send(b"data: 2\n\n")))

    async with (
        handled_by(work) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as response,
    ):
        assert await response.read() == (b"data: 1\n\ndata: 2\n\n" if both_ways else b"data: 1\n\n")
    assert await written == (False, both_ways)


async def test_an_http_1_0_client_gets_no_chunks() -> None:
    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        await writer.send(b"data: 1\n\n")
        await writer.send(b"data: 2\n\n")

    async with handled_by(work) as port:
        reader, client = await asyncio.open_connection("127.0.0.1", port)
        client.write(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
        client.close()
    assert answer.endswith(b"\r\n\r\ndata: 1\n\ndata: 2\n\n")


@pytest.mark.parametrize("opening", [b"data: 1\n\n", b""])
async def test_the_headers_are_sent_when_the_stream_begins_also_without_a_frame(opening: bytes) -> None:
    go_on = asyncio.Event()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        await writer.begin(opening)
        await go_on.wait()
        await writer.finish(b"data: 2\n\n")

    async with (
        handled_by(work) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as response,
    ):
        assert response.status == 200
        go_on.set()
        assert await response.read() == opening + b"data: 2\n\n"


async def test_a_stream_takes_two_packets_beside_those_of_its_tokens() -> None:
    """The headers leave with the first frame, and the end of the body with the last."""

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        await writer.begin(b"data: 1\n\n")
        await writer.finish(b"data: 2\n\n")

    async with handled_by(work) as port:
        reader, client = await _ask(port)
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        info = client.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
        client.close()
    assert answer.endswith(b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    assert struct.unpack_from("I", info, _DATA_SEGMENTS_IN) == (2,)


@pytest.mark.parametrize("frames", [0, 1, 3_000])
async def test_a_connection_serves_on_after_the_last_frames(frames: int) -> None:
    """However long they are: 3,000 are 27 KB, which leave in several parts."""

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=1)
        await writer.finish(b"data: x\n\n" * frames)

    async with handled_by(work) as port, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                assert await response.read() == b"data: x\n\n" * frames


async def test_the_end_of_a_stream_waits_for_its_client_no_longer_than_any_write() -> None:
    ended: asyncio.Future[ClientGone] = asyncio.get_running_loop().create_future()

    async def work(request: web.Request, response: web.StreamResponse) -> None:
        writer = await SseWriter.open(request, response, write_timeout_s=0.2)
        try:
            await writer.finish(b"data: x\n\n" * 2_000_000)
        except ClientGone as exc:
            ended.set_result(exc)

    async with handled_by(work) as port:
        _, client = await _ask(port)
        error = await asyncio.wait_for(ended, 30)
        client.close()
    assert "stopped reading" in str(error)
