"""Reads an answer's bytes and hands each read to a callback: `PushReader`, or plainly `PullReader`.

aiohttp wakes the waiting task for each read: a future, a turn of the event loop, a chain of coroutines and a timer per
token. `PushReader` stands before aiohttp's protocol on the connection and hands the bytes on inside the transport's
own call; one timer serves the whole answer. With 100 streams of 50 tokens a second this reads a token in 21 us of CPU
time instead of 31 (uvloop: 20 instead of 27). It relies on private behaviour of aiohttp (`read_timeout`, the place of
its protocol on the transport); `OpenAIProvider(reader=PullReader)` is the switch to the plain way.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, Self, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from aiostream_server.aiohttp_private import can_read_all, read_all, shrink_connection, shrink_response
from aiostream_server.timers import Timer, call_at

_REFILLED_BYTES: Final = 1_024  # aiohttp holds unparsed bytes back only behind a larger read than this


class BytesReader(Protocol):
    """Reads the body of one response; a context manager around the reading."""

    def __init__(self, response: aiohttp.ClientResponse, *, idle_s: float, ends_at: float) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    async def give(self, take: Callable[[bytes], bool]) -> None:
        """Call `take` with each read until it returns False; with no bytes at the end of the body.

        Raises what `take` raises, aiohttp's errors of the connection, `SocketTimeoutError` after `idle_s` of silence,
        and `TimeoutError` at `ends_at`.
        """
        ...


class PullReader:
    """Waits for each read, as aiohttp is meant to be used; the request's own timeouts apply."""

    def __init__(self, response: aiohttp.ClientResponse, *, idle_s: float, ends_at: float) -> None:
        self._content = response.content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""

    async def give(self, take: Callable[[bytes], bool]) -> None:
        while take(await self._content.readany()):
            pass


class PushReader(asyncio.Protocol):
    """Takes aiohttp's place on the connection inside the `with` block, and restores it for the connection's next use.

    `idle_s` counts only while a task waits for bytes. `ends_at` is in the event loop's time.
    """

    __slots__ = (
        "_arrived_at",
        "_content",
        "_ends_at",
        "_idle_s",
        "_is_lost",
        "_is_paused",
        "_loop",
        "_protocol",
        "_reads_all",
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
        self._timer: Timer | None = None
        self._take: Callable[[bytes], bool] = _take_nothing
        self._waiting: asyncio.Future[bool] | None = None
        self._is_lost = False
        self._is_paused = False
        connection = response.connection  # None if the whole answer is here already
        self._transport = connection.transport if connection is not None else None
        self._reads_all = can_read_all(self._content)
        if self._transport is not None:
            self._protocol = cast("ResponseHandler", self._transport.get_protocol())
            shrink_response(response)
            shrink_connection(self._protocol)

    def __enter__(self) -> Self:
        if self._transport is not None:
            self._protocol.read_timeout = None  # replaced by `_tick`: aiohttp sets a timer for each read
            self._protocol.start_timeout()  # without one, this cancels the timer that runs
            self._transport.set_protocol(self)
            self._content.on_eof(self._leave)
        self._tick()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._leave()

    async def give(self, take: Callable[[bytes], bool]) -> None:
        while True:
            data = self._read()
            if data or self._content.at_eof():
                if not take(data):
                    self._pause()
                    return
            elif self._is_lost:  # aiohttp does not tell its reader when a connection ends after invalid bytes
                raise aiohttp.ClientPayloadError("the connection ended in the middle of the answer")
            elif not await self._arrival(take):
                return

    async def _arrival(self, take: Callable[[bytes], bool]) -> bool:
        """Wait while `take` returns True. Return False when `take` did, True where there may be bytes to read."""
        self._take, self._waiting = take, self._loop.create_future()
        self._arrived_at = self._loop.time()
        if self._is_paused:
            self._read_on()
        try:
            return await self._waiting
        finally:
            self._take, self._waiting = _take_nothing, None

    # Called by the transport.

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)
        waiting = self._waiting
        if waiting is None or waiting.done():
            self._pause()
            return
        self._arrived_at = self._loop.time()
        self._waiting = None  # `take` may read to the end of the answer, where `_wake` would set the result twice
        try:
            goes_on = self._take_all()
        except Exception as error:  # aiohttp's or `take`'s: raised in the waiting task
            waiting.set_exception(error)
            return
        if goes_on and not self._content.is_eof():
            self._waiting = waiting
            return
        self._pause()
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

    def _read(self) -> bytes:
        """All that aiohttp has parsed."""
        if not self._reads_all:
            return self._content.read_nowait()
        return read_all(self._content, None if self._transport is None else self._protocol)

    def _take_all(self) -> bool:
        """Hand on what aiohttp has parsed; whether `take` wants more."""
        while received := self._read():
            if not self._take(received):
                return False
            if len(received) <= _REFILLED_BYTES:
                break
        return True

    def _pause(self) -> None:
        """Leave what comes next to the kernel until the reader waits again: here it would take memory."""
        if self._transport is not None and not self._transport.is_closing() and not self._content.is_eof():
            self._transport.pause_reading()
            self._is_paused = True

    def _read_on(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _leave(self) -> None:
        """Restore aiohttp's protocol when the answer ends or breaks off."""
        if self._transport is not None and self._transport.get_protocol() is self:
            if self._is_paused:
                self._read_on()
            self._transport.set_protocol(self._protocol)
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(True)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._waiting is None or self._waiting.done():
            self._arrived_at = now  # no task waits: the silence is not the provider's
        elif now >= self._ends_at:
            self._waiting.set_exception(TimeoutError("the answer is not at its end"))
        elif now - self._arrived_at >= self._idle_s:
            self._waiting.set_exception(aiohttp.SocketTimeoutError("nothing arrived"))
        ends_at = self._ends_at if self._ends_at > now else now + self._idle_s
        self._timer = call_at(min(self._arrived_at + self._idle_s, ends_at), self._tick)


def _take_nothing(_: bytes) -> bool:
    return False
