"""A viewer: one client's connection, which is sent one run's log."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from itertools import count, islice
from typing import Final

from aiohttp import web

from aiostream_server.aiohttp_private import shrink_request
from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ClientGone
from aiostream_server.events import Entry, SpeechKind, Token
from aiostream_server.log.protocol import Reader
from aiostream_server.protocols.dialect import Frames, TimedFrames, timed
from aiostream_server.sse.frames import HEARTBEAT
from aiostream_server.sse.heartbeat import Heartbeat
from aiostream_server.sse.writer import SSE_HEADERS, SseWriter
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.coalescer import Coalescer
from aiostream_server.web.lasting import LastingStream
from aiostream_server.web.middlewares import OBSERVER, report_gone

_MAX_BEGUN_CHARS: Final = 8_000  # as with what is read from the log: longer texts are encoded piece by piece
_REPORT_EVERY: Final = 16  # writes: reporting the delay of each would add 3 % to the cost of a token


async def stream_run(
    request: web.Request,
    headers: Mapping[str, str],
    reader: Reader,
    frames: Frames,
    config: ServerConfig,
    *,
    coalesce_s: float = 0.0,
) -> web.StreamResponse:
    """A response that writes what was not written yet of the log, waits for more, and repeats until the run is over.

    One write per round: a client that keeps up gets token by token, one that does not gets several at a time. Tokens
    that come within `coalesce_s` of the last write are sent together. The first one after a silence, and anything but a
    token, is sent at once. The response ends early when the client has gone or stopped reading. The reader must stay
    open until it is written: see `web.lasting`.
    """
    return await stream_runs(request, headers, [(nullcontext(reader), frames)], config, coalesce_s=coalesce_s)


async def stream_runs(
    request: web.Request,
    headers: Mapping[str, str],
    runs: Sequence[tuple[AbstractContextManager[Reader], Frames]],
    config: ServerConfig,
    *,
    before: bytes = b"",
    coalesce_s: float = 0.0,
) -> web.StreamResponse:
    """Like `stream_run`, for several runs in one stream: each after the end of the one before it, the first behind the
    frames in `before`. Each reader is opened and closed by the response."""
    write = partial(_write, request, runs, config.heartbeat_s, before, coalesce_s)
    return await lasting_response(request, {**SSE_HEADERS, **headers}, write, config)


async def lasting_response(
    request: web.Request,
    headers: Mapping[str, str],
    write: Callable[[SseWriter], Awaitable[None]],
    config: ServerConfig,
) -> LastingStream:
    """Send the headers; the body is what `write` writes (see `web.lasting`)."""
    response = LastingStream(headers)
    try:
        writer = await SseWriter.open(request, response, write_timeout_s=config.write_timeout_s)
    except ClientGone as gone:
        leave_client(request, gone)
        return response
    return response.written_by(partial(write, writer))


async def _write(
    request: web.Request,
    runs: Sequence[tuple[AbstractContextManager[Reader], Frames]],
    heartbeat_s: float,
    before: bytes,
    coalesce_s: float,
    writer: SseWriter,
) -> None:
    shrink_request(request)
    try:
        for place, (watching, frames) in enumerate(runs, 1):
            shows_silence = timed(frames)
            silence_s = heartbeat_s if shows_silence is None else min(heartbeat_s, shows_silence.silence_s)
            with (
                watching as reader,
                Heartbeat(silence_s, reader.wake) as heartbeat,
                Coalescer(coalesce_s, reader.wake) as coalescer,
            ):
                opening = (before if place == 1 else b"") + frames.opening(at_end=reader.at_end)
                report = request.app[OBSERVER].delay
                is_last = place == len(runs)
                viewer = _Viewer(
                    reader, writer, frames, opening, shows_silence, heartbeat, coalescer, report, is_last=is_last
                )
                reader.shortcut = None if coalesce_s else viewer
                try:
                    await viewer.run()
                finally:
                    reader.shortcut = None  # a reference cycle: the viewer holds the reader
    except ClientGone as gone:
        leave_client(request, gone)
    except Exception as exc:
        log_bug("stream_failed", exc)  # the headers were sent: no error can be answered
        hang_up(request)


def leave_client(request: web.Request, gone: ClientGone) -> None:
    """The client has left, or reads nothing: abort its connection."""
    report_gone(request, gone)
    hang_up(request)


def hang_up(request: web.Request) -> None:
    """Abort the connection: its client sees that the answer is not whole."""
    if request.transport is not None:
        request.transport.abort()


class _Viewer:
    """One connection's cursor through the log, and the reader's shortcut.

    While the client keeps up, tokens are written in the call that appends them, and no task wakes for them. `run` does
    the rest.
    """

    __slots__ = (
        "_coalescer",
        "_ends_stream",
        "_frames",
        "_heartbeat",
        "_oldest",
        "_opened_at",
        "_pending",
        "_reader",
        "_report_delay",
        "_timed",
        "_until_report",
        "_writer",
    )

    def __init__(
        self,
        reader: Reader,
        writer: SseWriter,
        frames: Frames,
        opening: bytes,
        timed: TimedFrames | None,
        heartbeat: Heartbeat,
        coalescer: Coalescer,
        report_delay: Callable[[float], None],
        *,
        is_last: bool,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = frames
        self._timed = timed
        self._heartbeat = heartbeat
        self._coalescer = coalescer
        self._report_delay = report_delay
        self._pending = opening
        self._ends_stream = is_last
        self._oldest = 0.0  # the timestamp of the first pending event; 0: none is pending
        self._opened_at = time.time()
        self._until_report = random.randint(1, _REPORT_EVERY)  # noqa: S311 - spreads the reports over the writes of all viewers

    async def run(self) -> None:
        reader, coalescer = self._reader, self._coalescer
        await self._begin()
        while self._pending or coalescer.has_due or not reader.at_end:
            if not coalescer.has_due and not reader.at_end:
                coalescer.add(await reader.read())
            if entries := coalescer.take():
                self._pending += self._frames.encode(entries)
                if self._pending and not self._oldest:
                    self._oldest = entries[0].timestamp
            if not self._pending and self._heartbeat.is_due:
                self._pending = b"" if self._timed is None else self._timed.silence(time.time())
                self._pending = self._pending or HEARTBEAT
            await self._write()

    async def _begin(self) -> None:
        """Send the headers at once, with what the stream begins with: they tell the client that its run has begun."""
        opening, self._pending = self._pending, b""
        await self._writer.begin(opening)

    def write_tokens(
        self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float, times: Sequence[float] = ()
    ) -> bool:
        """The shortcut of most tokens: nothing waits, and only their text is sent."""
        encoded = None if self._pending else self._frames.encode_tokens(agent, kind, texts)
        if encoded is None:
            if self._writer.is_behind or not texts or sum(map(len, texts)) > _MAX_BEGUN_CHARS:
                return False
            return self._begin_tokens(agent, kind, texts, times or [timestamp] * len(texts))
        if not self._writer.try_send(encoded):
            return False
        self._heartbeat.touch()
        self._until_report -= 1
        if not self._until_report:
            self._report(timestamp)
        if self._writer.is_behind:
            self._reader.wake()
        return True

    def _begin_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], times: Sequence[float]) -> bool:
        """The first one begins a message, or a line, and the second one tells how it goes on: the rest is only text."""
        seq, frames = self._reader.after, self._frames
        tokens = zip(count(seq + 1), texts, times, strict=False)
        entries = (Entry(number, when, Token(agent, text, kind)) for number, text, when in tokens)
        encoded, rest = frames.encode([*islice(entries, 2)]), texts[2:]
        if rest:
            encoded += frames.encode_tokens(agent, kind, rest) or frames.encode([*entries])
        return self._send_or_keep(encoded, times[0])

    def write_through(self, entries: Sequence[Entry]) -> bool:
        """The reader's shortcut for all other events."""
        if self._writer.is_behind:
            return False
        return self._send_or_keep(self._frames.encode(entries), entries[0].timestamp)

    def _send_or_keep(self, encoded: bytes, timestamp: float) -> bool:
        """True. What cannot be sent now is sent by `run`."""
        encoded = self._pending + encoded  # which may still hold the opening
        if not encoded:
            return True
        if self._writer.try_send(encoded):
            self._pending = b""
            self._heartbeat.touch()
            self._until_report -= 1
            if not self._until_report:
                self._report(self._oldest or timestamp)
            self._oldest = 0.0
        else:
            self._pending, self._oldest = encoded, self._oldest or timestamp
        if self._pending or self._writer.is_behind:
            self._reader.wake()
        return True

    async def _write(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, b""
            is_last = self._ends_stream and self._reader.at_end and not self._coalescer.has_due
            await (self._writer.finish(pending) if is_last else self._writer.send(pending))
            self._heartbeat.touch()
            self._until_report -= 1
            if not self._until_report:
                self._report(self._oldest)
            self._oldest = 0.0
        elif self._writer.is_behind:
            await self._writer.flush()

    def _report(self, oldest: float) -> None:
        self._until_report = _REPORT_EVERY
        if oldest >= self._opened_at:
            self._report_delay(time.time() - oldest)
