"""The events of one run, over as many connections as it takes.

The server numbers events, and a reconnecting client names the last number that it received. So every event comes once,
in order, without a gap; an event `Dropped` replaces those that the server has dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from typing import Final, Literal, TypeAlias
from uuid import uuid4

import aiohttp

from aiostream_server.client.api import Api, read_info
from aiostream_server.client.errors import BadAnswer, ClientError, ConnectionLost
from aiostream_server.client.frames import Frame, SseParser, read_frame
from aiostream_server.client.retry import Backoff
from aiostream_server.events import Dropped, Event, RunFinished
from aiostream_server.events.codec import WholeMessages

OnLeaving: TypeAlias = Literal["cancel", "continue"]

_STEADY_S: Final = 10.0  # a connection that lasts so long counts as a success, even without events
_LEAVING_S: Final = 3.0


class RunStream:
    """Iterate over it for the events of a run. Leaving the loop before its end ends the interest in the run.

    `run_id` is known from the first event on; `last_seq` is the number of the latest event, `finished` the last event
    of the run.
    """

    def __init__(
        self,
        api: Api,
        backoff: Backoff,
        *,
        body: Mapping[str, object] | None = None,
        run_id: str | None = None,
        after: int = 0,
        on_disconnect: OnLeaving,
        on_reconnect: Callable[[ClientError], object],
        on_end: Callable[["RunStream"], object],
    ) -> None:
        self.run_id = run_id
        self.last_seq = after
        self.finished: RunFinished | None = None
        self._api: Final = api
        self._backoff: Final = backoff
        self._body: Final = body
        self._headers: Final = {"Idempotency-Key": str(uuid4())}
        self._on_reconnect: Final = on_reconnect
        self._on_end: Final = on_end
        self._cancels_when_left = on_disconnect == "cancel"
        self._arrived: deque[tuple[int, Event | None]] = deque()
        self._heard_seq = after
        self._wholes: Final = WholeMessages()
        self._is_over = False
        self._connection: _Connection | None = None
        self._posting: asyncio.Task[aiohttp.ClientResponse] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncGenerator[Event, None]:
        # No other reference to the generator: when a loop is left, asyncio finalises it, which leaves the run.
        return self._events()

    async def cancel(self) -> None:
        """Cancel the run. Its last events still arrive, up to `RunFinished`."""
        if self.run_id is None:
            await self.aclose()
        else:
            await self._api.call("POST", f"/runs/{self.run_id}/cancel")

    async def aclose(self) -> None:
        """Leave, and cancel the run unless `on_disconnect` is "continue". Takes seconds even if the server hangs."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        await asyncio.shield(self._leaving)

    async def _events(self) -> AsyncGenerator[Event, None]:
        try:
            while self._leaving is None and (self._arrived or not self._is_over):
                if not self._arrived:
                    await self._fetch()
                    continue
                self.last_seq, event = self._arrived.popleft()
                if isinstance(event, RunFinished):
                    self.finished = event
                if event is not None:
                    yield event
        finally:
            self._hang_up()
            await self.aclose()

    async def _fetch(self) -> None:
        """Receive more events, or reconnect."""
        try:
            connection = self._connection = self._connection or await self._connect()
            await self._receive(connection)
        except ClientError as exc:
            self._hang_up()
            if self._leaving is None:
                await self._wait_to_reconnect(exc)

    async def _wait_to_reconnect(self, error: ClientError) -> None:
        """Raises the error after which no attempt is left. The run continues then, so that a client may `attach`."""
        is_passing, delay_s = self._backoff.is_passing(error), self._backoff.delay_s(error)
        if delay_s is not None:
            self._on_reconnect(error)
            await asyncio.sleep(delay_s)
        elif is_passing and self.run_id is not None:
            self._cancels_when_left = False
            raise ConnectionLost(str(error), run_id=self.run_id, last_seq=self.last_seq) from error
        else:
            raise error

    async def _connect(self) -> "_Connection":
        if self.run_id is None:
            # A task of its own survives a cancellation of this one, which needs the run's id to cancel the run.
            self._posting = asyncio.create_task(
                self._api.stream("POST", "/runs", json=self._body, headers=self._headers)
            )
            await asyncio.wait({self._posting})
            if self._posting.cancelled():
                raise ConnectionLost("the question was taken back")
            self._note_run(self._posting.result())
            return _Connection(self._posting.result())
        path = f"/runs/{self.run_id}/events"
        return _Connection(await self._api.stream("GET", path, params={"starting_after": str(self._heard_seq)}))

    def _note_run(self, response: aiohttp.ClientResponse) -> None:
        self.run_id = response.headers.get("X-Run-Id")
        if self.run_id is None:
            response.close()
            raise BadAnswer("the answer names no run: it has no header X-Run-Id")

    async def _receive(self, connection: "_Connection") -> None:
        before = self._heard_seq
        for frame in await connection.receive(self._api):
            self._take(frame)
        if self._heard_seq > before or (connection.is_steady and not connection.is_at_end):
            self._backoff.succeeded()
        if connection.is_at_end and not self._is_over:
            await self._check_end(connection)

    async def _check_end(self, connection: "_Connection") -> None:
        """A body without `RunFinished` has broken off, unless the client had received all events before."""
        if connection.was_empty and read_info(await self._api.call("GET", f"/runs/{self.run_id}")).status == "finished":
            self._is_over = True
            return
        raise ConnectionLost("the connection broke off in the middle of the run")

    def _take(self, frame: Frame) -> None:
        if self._is_over or frame.seq <= self._heard_seq:
            return
        if frame.seq > self._heard_seq + 1 and not isinstance(frame.event, Dropped):
            raise ConnectionLost(f"events {self._heard_seq + 1} to {frame.seq - 1} did not come")
        event = frame.event and self._wholes.complete(frame.event, truncated=frame.truncated)
        self._arrived.append((frame.seq, event))
        self._heard_seq = frame.seq
        self._is_over = frame.type == RunFinished.type

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _leave(self) -> None:
        self._hang_up()
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(_LEAVING_S):
                await self._end_posting()
                if self._cancels_when_left and not self._is_over and self.run_id is not None:
                    await self._api.call("POST", f"/runs/{self.run_id}/cancel")
        self._on_end(self)

    async def _end_posting(self) -> None:
        """Wait for the run's id: the request in flight starts a run."""
        if self._posting is None or self.run_id is not None:
            return
        try:
            response = await self._posting  # the timeout of `_leave` cancels it, too
        except ClientError:
            return
        self._note_run(response)
        response.close()


class _Connection:
    """One response that is being received."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.is_at_end = False
        self.was_empty = True
        self._response = response
        self._parser = SseParser()
        self._opened_at = time.monotonic()

    @property
    def is_steady(self) -> bool:
        return time.monotonic() - self._opened_at >= _STEADY_S

    async def receive(self, api: Api) -> list[Frame]:
        """The frames that are complete now."""
        chunk = await api.receive(self._response)
        self.is_at_end = not chunk
        try:
            frames = [read_frame(data) for data in self._parser.feed(chunk)]
        except ValueError as exc:
            raise BadAnswer(f"the answer is no stream of server-sent events: {exc}") from exc
        self.was_empty = self.was_empty and not chunk
        return frames

    def close(self) -> None:
        self._response.close()
