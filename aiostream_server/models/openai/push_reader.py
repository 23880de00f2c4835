"""The bytes of an answer, given out in the very call in which they arrive.

aiohttp's reader wakes the task that waits for it: a future, a turn of the event loop and a chain of coroutines for each
token, and a timer that is set anew by each. Here one object stands before aiohttp's own protocol on the connection:
aiohttp reads HTTP as ever, and what it read is taken out at once, while the task sleeps. One timer serves all of it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Self, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

_REFILLED_BYTES: Final = 1_024  # aiohttp may hold back what it has not parsed, but only behind more than this


class PushReader(asyncio.Protocol):
    """Of one answer whose headers have come. `with PushReader(...) as arrivals:` takes its place on the connection and
    leaves it; a connection that is used again is aiohttp's again by then.

    `idle_s`: how long nothing may come while somebody waits for it. `ends_at`: when the answer must be at its end, in
    the event loop's time.
    """

    __slots__ = (
        "_arrived_at",
        "_content",
        "_ends_at",
        "_idle_s",
        "_is_lost",
        "_loop",
        "_protocol",
        "_take",
        "_timer",
        "_transport",
        "_waiting",
    )

    def __init__(self, response: aiohttp.ClientResponse, *, idle_s: float, ends_at: float) -> None:
        self._content = response.content
        self._idle_s = idle_s
        self._ends_at = ends_at
        self._loop = asyncio.get_running_loop()
        self._arrived_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._take: Callable[[bytes], bool] = _take_nothing
        self._waiting: asyncio.Future[bool] | None = None
        self._is_lost = False
        connection = response.connection  # none where all of the answer is here
        self._transport = connection.transport if connection is not None else None
        if self._transport is not None:
            self._protocol = cast("ResponseHandler", self._transport.get_protocol())

    def __enter__(self) -> Self:
        if self._transport is not None:
            self._protocol.read_timeout = None  # aiohttp's own, from the next bytes on: ours is cheaper
            self._transport.set_protocol(self)
            self._content.on_eof(self._leave)
        self._tick()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._leave()

    async def give(self, take: Callable[[bytes], bool]) -> None:
        """Call `take` with whatever comes, when it comes, until it says False; with nothing at the end of the body.

        What `take` raises is raised here, and what aiohttp says of a connection that fails; `SocketTimeoutError` after
        too long a silence, `TimeoutError` when the answer takes too long.
        """
        while True:
            data = self._content.read_nowait()
            if data or self._content.at_eof():
                if not take(data):
                    return
            elif self._is_lost:  # aiohttp's reader does not learn of a connection that ends over nonsense
                raise aiohttp.ClientPayloadError("the connection ended in the middle of the answer")
            elif not await self._arrival(take):
                return

    async def _arrival(self, take: Callable[[bytes], bool]) -> bool:
        """Wait while `take` goes on; False when it said so, True where there may be something to read."""
        self._take, self._waiting = take, self._loop.create_future()
        self._arrived_at = self._loop.time()
        try:
            return await self._waiting
        finally:
            self._take, self._waiting = _take_nothing, None

    # What the connection calls

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)
        waiting = self._waiting
        if waiting is None or waiting.done():
            return
        self._arrived_at = self._loop.time()
        self._waiting = None  # taking out may read on, to the end of the answer: `_wake` must not come in between
        try:
            goes_on = self._take_all()
        except Exception as error:  # aiohttp's, or what `take` raises: it is for who waits
            waiting.set_exception(error)
            return
        if goes_on and not self._content.is_eof():
            self._waiting = waiting
        else:
            waiting.set_result(goes_on)

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._protocol.connection_lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # Inside

    def _take_all(self) -> bool:
        """Whether `take` goes on."""
        while received := self._content.read_nowait():
            if not self._take(received):
                return False
            if len(received) <= _REFILLED_BYTES:
                break
        return True

    def _leave(self) -> None:
        """The answer is at its end, or is broken off."""
        if self._transport is not None and self._transport.get_protocol() is self:
            self._transport.set_protocol(self._protocol)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._waiting is None or self._waiting.done():
            self._arrived_at = now  # nobody listens: the silence is not the provider's
        elif now >= self._ends_at:
            self._waiting.set_exception(TimeoutError("the answer is not at its end"))
        elif now - self._arrived_at >= self._idle_s:
            self._waiting.set_exception(aiohttp.SocketTimeoutError("nothing arrived"))
        ends_at = self._ends_at if self._ends_at > now else now + self._idle_s
        self._timer = self._loop.call_at(min(self._arrived_at + self._idle_s, ends_at), self._tick)


def _take_nothing(_: bytes) -> bool:
    return False
