"""The process: start, serve until a signal, end every stream properly, stop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.observe.several import together
from aiostream_server.service.composition import GENERATIONS, compose
from aiostream_server.service.ending import drain, end
from aiostream_server.service.figures import Figures
from aiostream_server.service.garbage import collect_garbage
from aiostream_server.service.metrics import Counting
from aiostream_server.service.notify import ServiceManager
from aiostream_server.service.overseer import Overseer, report
from aiostream_server.service.own_modules import OwnModules
from aiostream_server.service.reload import Reloading, reloading_at_hangup
from aiostream_server.service.signals import StopSignals, stop_within_s
from aiostream_server.service.sockets import BACKLOG, Listening, bind
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.site import TlsSite
from aiostream_server.service.tracing import Traces
from aiostream_server.service.vitals import LagMeter, watch_vitals
from aiostream_server.service.workers.seat import Seat
from aiostream_server.service.workers.site import SharedSite
from aiostream_server.web.health import LOOP_LAG
from aiostream_server.web.state import STATE

_KEEPALIVE_S: Final = 75.0
_HANDLERS_S: Final = 0.05  # handlers that outlive `end` view for clients who do not read: aiohttp waits twice so long
_LEFT_BEHIND_S: Final = 0.3  # for tasks and threads that nobody waits for any more


async def serve(
    config: Config,
    *,
    state_directory: Path,
    on_ready: Callable[[str], object],
    seat: Seat | None = None,
    overseer: Overseer | None = None,
    load: Callable[[], Config] | None = None,
    config_path: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, and drain; `on_ready` is told the base URL once connections are accepted.

    `seat` says where to listen, together with others; to a worker a second signal says nothing new. `overseer` is told
    how the process is. At each SIGHUP `load` reads the configuration anew; without it there is nothing to reload. With
    `[server] watch`, also when a file has changed, `config_path` among them.

    After a signal the process ends within `lame_duck_s`, `drain_s` and a second; one whose sockets are adopted may take
    a second more. A server whose task is cancelled ends its streams at once and leaves the process alone. Raises
    `ConfigError` for what cannot be served, an address that cannot be bound included.
    """
    server, modules = config.server, OwnModules()
    certificate = Certificate.of(server)
    traces, counting = Traces.of(config.tracing), Counting.of(config, seat.number if seat and seat.has_parent else None)
    observer = together(*counting.observers, *traces.observers)
    app = compose(config, state_directory=state_directory, observer=observer)
    counting.show_in(app)
    runner = web.AppRunner(
        app,
        handler_cancellation=True,  # a client that leaves is noticed at once, not at the next write
        auto_decompress=False,  # compressed bodies are refused; decoding broken ones logs a traceback each
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_HANDLERS_S,
    )
    overseer = overseer or ServiceManager()
    is_adopted = seat is not None and seat.listening.is_adopted
    within_s = stop_within_s(server, is_adopted=is_adopted)
    with StopSignals(within_s, second_ends=seat is None or not seat.has_parent) as signals:
        async with traces.sending, _set_up(runner, config), counting.going_on(app):
            listening = bind(server) if seat is None else seat.listening
            urls = listening.urls(server)
            for each in listening.sockets:
                await _site(runner, each, seat, certificate).start()
            async with _reporting(runner, overseer):
                reloading = _reloading(runner, load, state_directory, listening, overseer, certificate, modules)
                async with nullcontext() if reloading is None else reloading_at_hangup(reloading, config_path):
                    on_ready(urls[0])
                    overseer.ready()
                    await signals.stop.wait()
                overseer.stopping(within_s)
                await drain(runner, server, is_adopted=is_adopted)
        signals.end_within(_LEFT_BEHIND_S)


def _reloading(
    runner: web.AppRunner,
    load: Callable[[], Config] | None,
    state_directory: Path,
    listening: Listening,
    overseer: Overseer,
    certificate: Certificate | None,
    modules: OwnModules,
) -> Reloading | None:
    if load is None:
        return None
    also = () if certificate is None else (certificate.reload,)
    return Reloading(
        runner.app[GENERATIONS],
        load,
        state_directory,
        hosts=listening.hosts,
        told=overseer,
        also=also,
        modules=modules,
    )


@asynccontextmanager
async def _set_up(runner: web.AppRunner, config: Config) -> AsyncIterator[None]:
    """The app, and its watch; every stream is ended at the end."""
    lag = runner.app[LOOP_LAG] = LagMeter()
    await runner.setup()
    registry = runner.app[STATE].registry
    watching = asyncio.create_task(watch_vitals(lag, registry), name="vitals")
    collecting = asyncio.create_task(collect_garbage(registry), name="garbage")
    try:
        yield
    finally:
        await end(runner)
        watching.cancel()
        collecting.cancel()
        await runner.cleanup()


@asynccontextmanager
async def _reporting(runner: web.AppRunner, overseer: Overseer) -> AsyncIterator[None]:
    registry, lag = runner.app[STATE].registry, runner.app[LOOP_LAG]

    def figures() -> Figures:
        return Figures(len(registry), registry.viewers, registry.queued, lag.max_s)

    reporting = asyncio.create_task(report(overseer, figures), name="report")
    try:
        yield
    finally:
        reporting.cancel()


def _site(
    runner: web.AppRunner, listening: socket.socket, seat: Seat | None, certificate: Certificate | None
) -> web.BaseSite:
    if seat is not None:
        return SharedSite(runner, listening, seat.loads, seat.number, certificate)
    if certificate is not None:
        return TlsSite(runner, listening, certificate, backlog=BACKLOG)
    return web.SockSite(runner, listening, backlog=BACKLOG)
