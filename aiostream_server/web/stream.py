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
        await _view(reader, writer, frames, config.heartbeat_s, coalesce_s)
    except ClientGone:
        _hang_up(request)
    except Exception as exc:
        log_bug("stream_failed", exc)  # the headers are out: an error cannot be answered any more
        _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _view(reader: Reader, writer: SseWriter, frames: Frames, heartbeat_s: float, coalesce_s: float) -> None:
    with Heartbeat(heartbeat_s, reader.wake) as heartbeat, Pace(coalesce_s, reader.wake) as pace:
        pending = frames.opening()
        while pending or pace.has_due or not reader.at_end:
            if not pace.has_due and not reader.at_end:
                pace.add(await reader.read())
            if entries := pace.take():
                pending += frames.encode(entries)
            if not pending and heartbeat.is_due:
                pending = HEARTBEAT
            if pending:
                await writer.send(pending)
                heartbeat.touch()
                pending = b""
