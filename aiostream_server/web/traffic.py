"""Counts the requests that are being answered, and reads their bodies: a server that drains refuses new bodies.

aiohttp silently drops the rest of a body once its shutdown has begun. So a drain waits for bodies before that.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final, Literal

from aiohttp import StreamReader, web

from aiostream_server.errors import BodyTooLarge, RequestTimeout, ShuttingDown
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.request_wait import RequestWaits
from aiostream_server.web.state import Handler, state_of

Phase = Literal["ready", "lame_duck", "draining"]
"""A lame duck still accepts everything, but tells load balancers to go elsewhere; a draining server accepts no body."""


class Traffic:
    """The requests of one server. Used from one event loop only."""

    def __init__(self) -> None:
        self.phase: Phase = "ready"
        self.keeps_connections = True
        """Whether a connection may bring another request. A draining server keeps none."""
        self.waits: Final = RequestWaits()
        self._requests: Final[dict[int, web.Request]] = {}  # by id(): a set would compare them in Python
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._bodies: set[asyncio.Timeout] = set()

    @property
    def requests(self) -> Collection[web.Request]:
        """The requests that are being answered."""
        return self._requests.values()

    @property
    def bodies(self) -> int:
        """How many requests are under way with an incomplete body."""
        return len(self._bodies)

    def counting(self, request: web.Request) -> "_Counted":
        """A context around answering a request."""
        return _Counted(request, self._requests, self._quiet)

    async def until_quiet(self) -> None:
        """Wait until no request is being answered."""
        await self._quiet.wait()

    @asynccontextmanager
    async def receiving(self, timeout_s: float) -> AsyncIterator[None]:
        """Put a deadline around reading one body. Raises `RequestTimeout`, or `ShuttingDown` while draining."""
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                self._bodies.add(timeout)
                try:
                    yield
                finally:
                    self._bodies.discard(timeout)
        except TimeoutError as exc:
            if self.phase == "draining":
                raise ShuttingDown from exc
            raise RequestTimeout(f"the body did not arrive within {timeout_s:g} s") from exc

    def drain(self, *, bodies_within_s: float) -> None:
        """Accept no new body; read those under way for that much longer. May be called again."""
        self.phase = "draining"
        self.keeps_connections = False
        latest = asyncio.get_running_loop().time() + bodies_within_s
        for body in self._bodies:
            if not body.expired():
                body.reschedule(min(latest, body.when() or latest))


class _Counted:
    __slots__ = ("_quiet", "_request", "_requests")

    def __init__(self, request: web.Request, requests: dict[int, web.Request], quiet: asyncio.Event) -> None:
        self._request = request
        self._requests = requests
        self._quiet = quiet

    def __enter__(self) -> None:
        self._requests[id(self._request)] = self._request
        self._quiet.clear()

    def __exit__(self, *_: object) -> None:
        del self._requests[id(self._request)]
        if not self._requests:
            self._quiet.set()


TRAFFIC: Final[web.AppKey[Traffic]] = web.AppKey("traffic", Traffic)


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware, so that refused requests count, too."""
    traffic = request.app[TRAFFIC]
    traffic.waits.measure(request)
    with UntilWritten(traffic.counting(request)) as until:
        return until.written(await handler(request))


async def close_when_draining(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: while draining, tell the client to open another connection for its next request."""
    if not request.app[TRAFFIC].keeps_connections:
        response.force_close()
        response.headers["Connection"] = "close"


async def read_body(request: web.Request) -> bytes:
    """The whole body. Raises `BodyTooLarge`, `ShuttingDown`, or `RequestTimeout`: aiohttp itself has no timeout."""
    traffic, server = request.app[TRAFFIC], state_of(request).config.server
    max_bytes = server.max_body_bytes
    if request.content_length is not None and request.content_length > max_bytes:
        raise _too_large(max_bytes)
    if traffic.phase == "draining":
        raise ShuttingDown
    if request.content.is_eof():  # a short one, which came together with its headers
        return await _read_whole(request.content, max_bytes)
    async with traffic.receiving(server.body_timeout_s):
        return await _read_whole(request.content, max_bytes)


async def _read_whole(content: StreamReader, max_bytes: int) -> bytes:
    """`request.read()` would keep the body in memory for as long as the request is answered."""
    parts: list[bytes] = []
    size_bytes = 0
    while part := await content.readany():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
    return b"".join(parts)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {max_bytes} bytes")
