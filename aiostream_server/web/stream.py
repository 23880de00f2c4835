"""A viewer: one client's connection, fed from one run's log."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiohttp import web

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ClientGone
from aiostream_server.events import Entry
from aiostream_server.sse.frames import HEARTBEAT
from aiostream_server.sse.heartbeat import Heartbeat
from aiostream_server.sse.writer import SSE_HEADERS, SseWriter
from aiostream_server.store.log import Reader
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.pace import Pace


class Frames(Protocol):
    """Events -> the bytes that one client is sent."""

    def opening(self) -> bytes: ...

    def encode(self, entries: Sequence[Entry]) -> bytes: ...


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
            view = _View(reader, writer, frames, heartbeat, pace)
            reader.shortcut = None if coalesce_s else view.write_through
            try:
                await view.run()
            finally:
                reader.shortcut = None  # which holds the view, which holds the reader
    except ClientGone:
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

    def __init__(self, reader: Reader, writer: SseWriter, frames: Frames, heartbeat: Heartbeat, pace: Pace) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = frames
        self._heartbeat = heartbeat
        self._pace = pace
        self._pending = frames.opening()

    async def run(self) -> None:
        reader, pace = self._reader, self._pace
        while self._pending or pace.has_due or not reader.at_end:
            if not pace.has_due and not reader.at_end:
                pace.add(await reader.read())
            if entries := pace.take():
                self._pending += self._frames.encode(entries)
            if not self._pending and self._heartbeat.is_due:
                self._pending = HEARTBEAT
            await self._write()

    def write_through(self, entries: Sequence[Entry]) -> bool:
        """The reader's shortcut."""
        if self._writer.is_behind:
            return False
        encoded = self._pending + self._frames.encode(entries)  # the opening may not have gone yet
        if not encoded:
            return True
        self._pending = b"" if self._writer.try_send(encoded) else encoded
        self._heartbeat.touch()
        if self._pending or self._writer.is_behind:
            self._reader.wake()
        return True

    async def _write(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, b""
            await self._writer.send(pending)
            self._heartbeat.touch()
        elif self._writer.is_behind:
            await self._writer.flush()
