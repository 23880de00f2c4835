"""Which requests are being answered, and which are taken at all: what a server that stops must know and say.

aiohttp drops the rest of a body without a word once its shutdown has begun, so bodies are waited for before that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

from aiohttp import web

from aiostream_server.errors import RequestTimeout, ShuttingDown

Phase = Literal["ready", "lame_duck", "draining"]
"""A lame duck still takes everything, but asks load balancers to go elsewhere; a draining server takes no new body."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Traffic:
    """The requests of one server. Used from one event loop only."""

    def __init__(self) -> None:
        self.phase: Phase = "ready"
        self.keeps_connections = True
        """Whether a connection may bring another request. A draining server keeps none."""
        self._requests: list[object] = []
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._bodies: set[asyncio.Timeout] = set()

    @property
    def is_draining(self) -> bool:
        return self.phase == "draining"

    @property
    def bodies(self) -> int:
        """How many requests are under way whose body is not all there yet."""
        return len(self._bodies)

    def begun(self, connection: object) -> None:
        """Somebody asks; `ended` has to follow."""
        self._requests.append(connection)
        self._quiet.clear()

    def ended(self, connection: object) -> None:
        """The whole answer to one request was given."""
        self._requests.remove(connection)
        if not self._requests:
            self._quiet.set()

    def is_busy(self, connection: object) -> bool:
        """A request that came on it is being answered."""
        return connection in self._requests

    async def until_quiet(self) -> None:
        """Until no request is being answered."""
        await self._quiet.wait()

    def check_taken(self) -> None:
        """Raise `ShuttingDown` where no new body is taken."""
        if self.is_draining:
            raise _shutting_down()

    @asynccontextmanager
    async def receiving(self, timeout_s: float) -> AsyncIterator[None]:
        """Around reading one body. Raises `RequestTimeout` for a slow one, `ShuttingDown` for one that is too late."""
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                self._bodies.add(timeout)
                try:
                    yield
                finally:
                    self._bodies.discard(timeout)
        except TimeoutError as exc:
            if self.is_draining:
                raise _shutting_down() from exc
            raise RequestTimeout(f"the body did not arrive within {timeout_s:g} s") from exc

    def drain(self, *, bodies_within_s: float) -> None:
        """Take no new body; those that are on their way are read for that much longer. May be called again."""
        self.phase = "draining"
        self.keeps_connections = False
        latest = asyncio.get_running_loop().time() + bodies_within_s
        for body in self._bodies:
            if not body.expired():
                body.reschedule(min(latest, body.when() or latest))


TRAFFIC: Final[web.AppKey[Traffic]] = web.AppKey("traffic", Traffic)


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost one: whatever is answered counts."""
    traffic = request.app[TRAFFIC]
    traffic.begun(request.protocol)
    try:
        return await handler(request)
    finally:
        traffic.ended(request.protocol)


async def close_when_draining(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: whoever would ask again on this connection is told to open another."""
    if not request.app[TRAFFIC].keeps_connections:
        response.force_close()
        response.headers["Connection"] = "close"


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the server is shutting down; ask again in a moment")
