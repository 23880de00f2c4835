"""A viewer: one client's connection, fed from one run's log."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from aiohttp import web

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ClientGone
from aiostream_server.events import Entry, SpeechKind
from aiostream_server.log.protocol import Reader
from aiostream_server.sse.frames import HEARTBEAT
from aiostream_server.sse.heartbeat import Heartbeat
from aiostream_server.sse.writer import SSE_HEADERS, SseWriter
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.observed import OBSERVER, tell_gone
from aiostream_server.web.pace import Pace

_TOLD_EVERY: Final = 16  # writes: telling of each would be a thirtieth of what a token costs


class Frames(Protocol):
    """Events -> the bytes that one client is sent."""

    def opening(self) -> bytes: ...

    def encode(self, entries: Sequence[Entry]) -> bytes: ...

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        """The same for tokens that only go on with what was encoded last; None where there is more to it. Nothing is
        changed by it: what was encoded may be thrown away, and the tokens given to `encode`."""
        ...


async def stream_run(
    request: web.Request,
    headers: Mapping[str, str],
    reader: Reader,
    frames: Frames,
    config: ServerConfig,
    *,
    coalesce_s: float = 0.0,
) -> web.StreamResponse:
    """Write everything that the log holds beyond what was written, wait, and again, until the run is over.

    One write per round: a client that keeps up gets token by token, one that does not gets them together. Tokens that
    come within `coalesce_s` of the last write go together; the first one after a silence, and all that is no token, at
    once. Returns as well when the client has gone or stopped reading.
    """
    response = web.StreamResponse(headers={**SSE_HEADERS, **headers})
    try:
        writer = await SseWriter.open(request, response, write_timeout_s=config.write_timeout_s)
        with Heartbeat(config.heartbeat_s, reader.wake) as heartbeat, Pace(coalesce_s, reader.wake) as pace:
            view = _View(reader, writer, frames, heartbeat, pace, request.app[OBSERVER].delay)
            reader.shortcut = None if coalesce_s else view
            try:
                await view.run()
            finally:
                reader.shortcut = None  # which holds the view, which holds the reader
    except ClientGone as gone:
        tell_gone(request, gone)
        _hang_up(request)
    except Exception as exc:
        log_bug("stream_failed", exc)  # the headers are out: an error cannot be answered any more
        _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


class _View:
    """One connection's way through the log. While the client keeps up, tokens are written as they are appended, and no
    task wakes for them; whatever else there is to do is done in `run`."""

    __slots__ = (
        "_came_at",
        "_frames",
        "_heartbeat",
        "_oldest",
        "_pace",
        "_pending",
        "_reader",
        "_tell_delay",
        "_until_told",
        "_writer",
    )

    def __init__(
        self,
        reader: Reader,
        writer: SseWriter,
        frames: Frames,
        heartbeat: Heartbeat,
        pace: Pace,
        tell_delay: Callable[[float], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = frames
        self._heartbeat = heartbeat
        self._pace = pace
        self._tell_delay = tell_delay
        self._pending = frames.opening()
        self._oldest = 0.0  # when the first event in what is pending was said; 0: there is none
        self._came_at = time.time()
        self._until_told = random.randint(1, _TOLD_EVERY)  # noqa: S311 - any: so that no write is told more often

    async def run(self) -> None:
        reader, pace = self._reader, self._pace
        while self._pending or pace.has_due or not reader.at_end:
            if not pace.has_due and not reader.at_end:
                pace.add(await reader.read())
            if entries := pace.take():
                self._pending += self._frames.encode(entries)
                if self._pending and not self._oldest:
                    self._oldest = entries[0].timestamp
            if not self._pending and self._heartbeat.is_due:
                self._pending = HEARTBEAT
            await self._write()

    def write_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> bool:
        """The short way of most tokens: nothing waits, and nothing but their text is sent."""
        if self._pending:
            return False
        encoded = self._frames.encode_tokens(agent, kind, texts)
        if encoded is None or not self._writer.try_send(encoded):
            return False
        self._heartbeat.touch()
        self._until_told -= 1
        if not self._until_told:
            self._tell(timestamp)
        if self._writer.is_behind:
            self._reader.wake()
        return True

    def write_through(self, entries: Sequence[Entry]) -> bool:
        """The reader's shortcut."""
        if self._writer.is_behind:
            return False
        encoded = self._pending + self._frames.encode(entries)  # the opening may not have gone yet
        if not encoded:
            return True
        if self._writer.try_send(encoded):
            self._pending = b""
            self._heartbeat.touch()
            self._until_told -= 1
            if not self._until_told:
                self._tell(self._oldest or entries[0].timestamp)
            self._oldest = 0.0
        else:
            self._pending, self._oldest = encoded, self._oldest or entries[0].timestamp
        if self._pending or self._writer.is_behind:
            self._reader.wake()
        return True

    async def _write(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, b""
            await self._writer.send(pending)
            self._heartbeat.touch()
            self._until_told -= 1
            if not self._until_told:
                self._tell(self._oldest)
            self._oldest = 0.0
        elif self._writer.is_behind:
            await self._writer.flush()

    def _tell(self, oldest: float) -> None:
        self._until_told = _TOLD_EVERY
        if oldest >= self._came_at:
            self._tell_delay(time.time() - oldest)
