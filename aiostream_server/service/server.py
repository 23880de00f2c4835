"""The process: start, serve until a signal, drain, stop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.observe.observer import fan_out
from aiostream_server.service.composition import GENERATIONS, compose
from aiostream_server.service.descriptors import warn_of_few, watching_accepts
from aiostream_server.service.event_loop import LagMeter, collect_garbage, watch_load
from aiostream_server.service.loop_watchdog import watching_the_loop
from aiostream_server.service.metrics import MetricsExport
from aiostream_server.service.reload import Reloading, reloading_at_hangup
from aiostream_server.service.shutdown import drain, end
from aiostream_server.service.signals import StopSignals, stop_within_s
from aiostream_server.service.slow_imports import telling_slow_imports
from aiostream_server.service.sockets import BACKLOG, Listening, bind
from aiostream_server.service.status import LastReload, ProcessStatus, StatusReceiver, report
from aiostream_server.service.stray_errors import telling_stray_errors
from aiostream_server.service.systemd import ServiceManager
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tracing import Traces
from aiostream_server.service.user_modules import UserModules
from aiostream_server.service.workers.peers import WorkerPeers
from aiostream_server.service.workers.share import SocketShare
from aiostream_server.service.workers.site import SharedSite
from aiostream_server.web.health import LOOP_LAG
from aiostream_server.web.state import STATE

_KEEPALIVE_S: Final = 75.0
_HANDLERS_S: Final = 0.05  # for handlers of clients that do not read; aiohttp waits twice this time
_LEFT_BEHIND_S: Final = 0.3  # for tasks and threads that still run


async def serve(
    config: Config,
    *,
    state_directory: Path,
    on_ready: Callable[[str], object],
    share: SocketShare | None = None,
    peers: WorkerPeers | None = None,
    receiver: StatusReceiver | None = None,
    load: Callable[[], Config] | None = None,
    config_path: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, and drain. `on_ready` gets the base URL once connections are accepted.

    `share` has sockets that other processes accept from, too; a worker ignores a second signal, and tells the
    metrics of its `peers` with its own. `receiver` gets the status of the process. At each SIGHUP `load` reads the
    configuration again; without `load` there are no reloads. With `[server] watch` a change of a file, `config_path`
    included, does the same.

    After a signal the process ends within `lame_duck_s`, `drain_s` and a second, and one more second with adopted
    sockets or shared runs. A cancelled server ends its streams at once and does not end the process. Raises
    `ConfigError` for what cannot be served, an address that cannot be bound included.
    """
    server, modules = config.server, UserModules()
    certificate = Certificate.of(server)
    worker = share.number if share and share.has_parent else None
    traces, metrics = Traces.of(config.tracing), MetricsExport.of(config, peers)
    observer = fan_out(*metrics.observers, *traces.observers)
    app = compose(config, state_directory=state_directory, observer=observer)
    metrics.mount(app)
    last_reload = LastReload()
    runner = _runner(app)
    receiver = receiver or ServiceManager()
    is_adopted = share is not None and share.listening.is_adopted
    within_s = stop_within_s(config, is_adopted=is_adopted)
    with StopSignals(within_s, second_ends=worker is None) as signals:
        async with traces.sending, _set_up(runner, config), metrics.running(app, last_reload):
            if not signals.begin_serving():
                return
            listening = bind(server) if share is None else share.listening
            await _accept(runner, listening, share, certificate)
            async with _reporting(runner, receiver, last_reload):
                reloading = _reloading(
                    runner, load, state_directory, listening, receiver, certificate, modules, last_reload
                )
                async with nullcontext() if reloading is None else reloading_at_hangup(reloading, config_path):
                    on_ready(listening.urls(server)[0])
                    receiver.ready()
                    await signals.stop.wait()
                receiver.stopping(within_s)
                await drain(runner, config, listening)
        signals.end_within(_LEFT_BEHIND_S)


def _runner(app: web.Application) -> web.AppRunner:
    return web.AppRunner(
        app,
        handler_cancellation=True,  # a client that leaves is noticed at once, not at the next write
        auto_decompress=False,  # compressed bodies are refused; decoding broken ones logs a traceback each
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_HANDLERS_S,
    )


async def _accept(
    runner: web.AppRunner, listening: Listening, share: SocketShare | None, certificate: Certificate | None
) -> None:
    """Accept connections from each socket."""
    if certificate is not None and share is None:
        share = SocketShare.without_workers(listening)
    for each in listening.sockets:
        await _site(runner, each, share, certificate).start()


def _reloading(
    runner: web.AppRunner,
    load: Callable[[], Config] | None,
    state_directory: Path,
    listening: Listening,
    receiver: StatusReceiver,
    certificate: Certificate | None,
    modules: UserModules,
    last_reload: LastReload,
) -> Reloading | None:
    if load is None:
        return None
    also = () if certificate is None else (certificate.reload,)
    return Reloading(
        runner.app[GENERATIONS],
        load,
        state_directory,
        hosts=listening.hosts,
        receiver=receiver,
        also=also,
        modules=modules,
        last_reload=last_reload,
    )


@asynccontextmanager
async def _set_up(runner: web.AppRunner, config: Config) -> AsyncIterator[None]:
    """Set up the app, and what watches it. Ends every stream at the end."""
    lag = runner.app[LOOP_LAG] = LagMeter()
    with telling_slow_imports():
        await runner.setup()
    registry = runner.app[STATE].registry
    watching = asyncio.create_task(watch_load(lag, registry), name="load")
    collecting = asyncio.create_task(collect_garbage(registry), name="garbage")
    warn_of_few(runner.app[STATE].registry.limits)
    try:
        with telling_stray_errors(), watching_the_loop(), watching_accepts():
            yield
    finally:
        await end(runner)
        watching.cancel()
        collecting.cancel()
        await runner.cleanup()


@asynccontextmanager
async def _reporting(runner: web.AppRunner, receiver: StatusReceiver, last_reload: LastReload) -> AsyncIterator[None]:
    registry, lag = runner.app[STATE].registry, runner.app[LOOP_LAG]

    def status() -> ProcessStatus:
        return ProcessStatus(len(registry), registry.viewers, registry.queued, lag.max_s, last_reload.problem)

    reporting = asyncio.create_task(report(receiver, status), name="report")
    try:
        yield
    finally:
        reporting.cancel()


def _site(
    runner: web.AppRunner, listening: socket.socket, share: SocketShare | None, certificate: Certificate | None
) -> web.BaseSite:
    if share is None:  # the event loop accepts faster
        return web.SockSite(runner, listening, backlog=BACKLOG)
    return SharedSite(runner, listening, share.counts, share.number, certificate)
