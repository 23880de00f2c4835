"""Streams go on after their handler has returned; what was opened around the handler stays open until their end."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiostream_server.web.lasting import LastingStream, UntilWritten
from aiostream_server.web.state import Handler


class Told:
    """What has happened, in order; the stream's second frame waits for `goes_on`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.goes_on = asyncio.Event()
        self.left = asyncio.Event()

    @contextmanager
    def opened(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException as exc:
            self.events.append(f"{name} left by {type(exc).__name__}")
            raise
        else:
            self.events.append(f"{name} left")
        finally:
            if name == "outer":
                self.left.set()


@asynccontextmanager
async def served(told: Told, *, drops: bool = False) -> AsyncIterator[str]:
    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        told.events.append("returned")
        return web.Response(text="another") if drops else response

    @web.middleware
    async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
        with UntilWritten(told.opened("outer")) as until:
            return until.written(await handler(request))

    async def handle(request: web.Request) -> web.StreamResponse:
        with UntilWritten(told.opened("inner")) as until:
            if request.path == "/refused":
                raise web.HTTPConflict
            response = LastingStream({})
            written = weakref.proxy(response)  # no cycle: a response that is dropped is deleted at once

            async def write() -> None:
                await written.prepare(request)
                told.events.append("first")
                await written.write(b"first ")
                await told.goes_on.wait()
                await written.write(b"last")

            return until.written(response.written_by(write))

    app = web.Application(middlewares=[outermost, outer])
    app.router.add_get("/{path}", handle)
    async with TestServer(app, handler_cancellation=True) as server:
        yield str(server.make_url("/"))


async def test_a_stream_is_written_behind_the_middlewares_and_what_they_opened_is_left_at_its_end() -> None:
    told = Told()
    async with served(told) as url, aiohttp.ClientSession() as session, session.get(f"{url}stream") as response:
        assert await response.content.readany() == b"first "
        assert told.events == ["returned", "first"]
        told.goes_on.set()
        assert await response.content.read() == b"last"
        await told.left.wait()
    assert told.events == ["returned", "first", "inner left", "outer left"]


async def test_a_client_that_leaves_is_why_they_are_left() -> None:
    told = Told()
    async with served(told) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}stream") as response:
            await response.content.readany()
        await told.left.wait()
    assert told.events == ["returned", "first", "inner left by CancelledError", "outer left by CancelledError"]


async def test_a_refusal_leaves_them_at_once() -> None:
    told = Told()
    async with served(told) as url, aiohttp.ClientSession() as session, session.get(f"{url}refused") as response:
        assert response.status == 409
    assert told.events == ["inner left by HTTPConflict", "outer left by HTTPConflict"]


async def test_a_stream_that_another_middleware_replaces_leaves_them() -> None:
    told = Told()
    async with served(told, drops=True) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}stream") as response:
            assert await response.text() == "another"
        await told.left.wait()
    assert told.events == ["returned", "inner left", "outer left"]
