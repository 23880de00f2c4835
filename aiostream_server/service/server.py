"""The process: start, serve until a signal, end every stream properly, stop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.service.ending import drain, end
from aiostream_server.service.garbage import collect_garbage
from aiostream_server.service.signals import StopSignals, stop_within_s
from aiostream_server.service.sockets import BACKLOG, bind, url_of
from aiostream_server.service.vitals import LagMeter, watch_vitals
from aiostream_server.service.workers.seat import Seat
from aiostream_server.service.workers.site import SharedSite
from aiostream_server.web.app import create_app
from aiostream_server.web.health import LOOP_LAG
from aiostream_server.web.state import STATE

_KEEPALIVE_S: Final = 75.0
_HANDLERS_S: Final = 0.05  # handlers that outlive `end` view for clients who do not read: aiohttp waits twice so long
_LEFT_BEHIND_S: Final = 0.3  # for tasks and threads that nobody waits for any more


async def serve(
    config: Config, *, state_directory: Path, on_ready: Callable[[str], object], seat: Seat | None = None
) -> None:
    """Serve until SIGTERM or SIGINT, and drain; `on_ready` is told the base URL once connections are accepted.

    `seat` makes it one of several workers: it is told where to listen, and a second signal says nothing new.

    After a signal the process ends within `lame_duck_s`, `drain_s` and a second. A server whose task is cancelled ends
    its streams at once and leaves the process alone. Raises `ConfigError` for what cannot be served, an address that
    cannot be bound included.
    """
    server = config.server
    runner = web.AppRunner(
        create_app(config, state_directory=state_directory),
        handler_cancellation=True,  # a client that leaves is noticed at once, not at the next write
        auto_decompress=False,  # compressed bodies are refused; decoding broken ones logs a traceback each
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_HANDLERS_S,
    )
    with StopSignals(stop_within_s(server), second_ends=seat is None) as signals:
        async with _set_up(runner, config):
            listening = bind(server) if seat is None else seat.listening
            url = url_of(listening, server.host)
            await _site(runner, listening, seat).start()
            on_ready(url)
            await signals.stop.wait()
            await drain(runner, server)
        signals.end_within(_LEFT_BEHIND_S)


@asynccontextmanager
async def _set_up(runner: web.AppRunner, config: Config) -> AsyncIterator[None]:
    """The app, and its watch; every stream is ended at the end."""
    lag = runner.app[LOOP_LAG] = LagMeter()
    await runner.setup()
    registry = runner.app[STATE].registry
    watching = asyncio.create_task(watch_vitals(lag, registry, config.limits), name="vitals")
    collecting = asyncio.create_task(collect_garbage(registry), name="garbage")
    try:
        yield
    finally:
        await end(runner)
        watching.cancel()
        collecting.cancel()
        await runner.cleanup()


def _site(runner: web.AppRunner, listening: socket.socket, seat: Seat | None) -> web.BaseSite:
    if seat is None:
        return web.SockSite(runner, listening, backlog=BACKLOG)
    return SharedSite(runner, listening, seat.loads, seat.number)
