"""One process's metrics as text: OpenMetrics if the client accepts it, else Prometheus' older format.

https://prometheus.io/docs/instrumenting/exposition_formats/

`[metrics] loopback_port` is a listener for this machine only, which asks for no key. During a restart the former
process may still drain and hold the port: binding is retried each second. The server serves without the port meanwhile.
"""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from aiostream_server import __version__
from aiostream_server.config.model import Config
from aiostream_server.errors import Forbidden
from aiostream_server.intake.keys import KeyRing
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.observe.observer import Observer
from aiostream_server.runs.registry import Registry
from aiostream_server.service.metrics.families import Families
from aiostream_server.service.metrics.observer import MetricsObserver
from aiostream_server.service.metrics.process import ProcessMetrics
from aiostream_server.service.output import dropped_lines
from aiostream_server.service.sockets import listen
from aiostream_server.service.status import LastReload
from aiostream_server.store.conversations import Conversations
from aiostream_server.web.health import Exposition, LoopLag, SharedStatus, expose
from aiostream_server.web.request_wait import RequestWaits

_HOST: Final = "127.0.0.1"
_AGAIN_S: Final = 1.0

_log = structlog.get_logger()


class Metrics:
    """Counts from the start. The gauges of `watch` are added once the app runs."""

    def __init__(self, config: Config) -> None:
        self.registry: Final = CollectorRegistry()
        self._families: Final = Families(self.registry)
        self._models: Final = tuple(config.models)
        self.registry.register(ProcessMetrics())
        self.observer: Final[Observer] = MetricsObserver(self._families)

    def watch(
        self, runs: Registry, conversations: Conversations, lag: LoopLag, waits: RequestWaits, teams: tuple[str, ...]
    ) -> None:
        """`teams` are the ids of the teams that are served."""
        self._families.start_at_zero(teams, self._models)
        self.registry.register(_Gauges(runs, conversations, lag, waits))
        waits.report = self._families.request_waits.of().add

    def watch_shared(self, shared: SharedStatus | None) -> None:
        """The store of runs that several processes share, if there is one."""
        self.registry.register(_SharedGauges(shared))

    def watch_reloads(self, last: LastReload) -> None:
        self.registry.register(_ReloadGauges(last))

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The text, and its content type. Takes a millisecond or two."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _Gauges(Collector):
    """Values that are read when they are asked for."""

    def __init__(self, runs: Registry, conversations: Conversations, lag: LoopLag, waits: RequestWaits) -> None:
        self._runs: Final = runs
        self._conversations: Final = conversations
        self._lag: Final = lag
        self._waits: Final = waits

    def collect(self) -> Iterator[Metric]:
        runs, lag, limits = self._runs, self._lag, self._runs.limits
        yield _gauge("runs_live", "Runs that go on.", len(runs))
        yield _gauge("runs_limit", "How many runs may go on at once.", limits.max_runs)
        yield _gauge("runs_queued", "Callers who wait for a slot.", runs.queued)
        yield _gauge("runs_queue_limit", "How many callers may wait.", limits.queue_size)
        yield _gauge("viewers", "Clients that are shown a run that goes on.", runs.viewers)
        held = self._conversations.held
        yield _gauge("conversation_turns_held", "Turns of conversations that could not be written yet.", held)
        yield _gauge("event_loop_lag_seconds", "How late the event loop was when it was looked at last.", lag.last_s)
        yield _gauge("event_loop_lag_max_seconds", "How late it was at most in the last minute.", lag.max_s)
        yield _gauge(
            "http_request_wait_max_seconds", "How long a request waited at most in the last minute.", self._waits.max_s
        )
        dropped = CounterMetricFamily(
            "aiostream_output_dropped_lines", "Lines that could not be written, or not in time.", labels=("stream",)
        )
        for stream, lines in dropped_lines().items():
            dropped.add_metric((stream,), lines)
        yield dropped
        built = GaugeMetricFamily(
            "aiostream_build_info", "What runs here; always 1.", labels=("version", "python_version")
        )
        built.add_metric((__version__, platform.python_version()), 1.0)
        yield built


class _SharedGauges(Collector):
    def __init__(self, shared: SharedStatus | None) -> None:
        self._shared: Final = shared

    def collect(self) -> Iterator[Metric]:
        shared = self._shared
        is_available = float(shared is None or shared.is_available)
        yield _gauge("shared_runs_available", "Whether Redis answers; 1 where no runs are shared.", is_available)
        outages = 0 if shared is None else shared.outages
        yield CounterMetricFamily("aiostream_shared_runs_outages", "Times that Redis stopped answering.", value=outages)


class _ReloadGauges(Collector):
    def __init__(self, last: LastReload) -> None:
        self._last: Final = last

    def collect(self) -> Iterator[Metric]:
        is_served, loaded_at = float(not self._last.problem), self._last.succeeded_at
        yield _gauge("config_last_reload_successful", "Whether what the configuration says is served.", is_served)
        yield _gauge("config_last_reload_success_timestamp_seconds", "When what is served was loaded.", loaded_at)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"aiostream_{name}", documentation, value=value)


@asynccontextmanager
async def listening(exposition: Exposition, port: int, elect: Callable[[], bool] = lambda: True) -> AsyncIterator[None]:
    """Listen as soon as `elect` says so. `port` 0 is none."""
    if not port:
        yield
        return

    async def handle(request: web.Request) -> web.Response:
        try:
            check_local_host(request.headers, KeyRing())
        except Forbidden as exc:
            raise web.HTTPForbidden(text=f"{exc}\n") from None
        return await expose(request, exposition)

    app = web.Application()
    app.router.add_get("/metrics", handle)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.05)
    await runner.setup()
    starting = asyncio.create_task(_start(runner, port, elect), name="metrics-listener")
    try:
        yield
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await runner.cleanup()


async def _start(runner: web.AppRunner, port: int, elect: Callable[[], bool]) -> None:
    is_told = False
    while not elect():  # noqa: ASYNC110 # the elected worker is another process
        await asyncio.sleep(_AGAIN_S)
    while True:
        try:
            bound = listen(_HOST, port)
        except OSError as exc:
            if not is_told:
                _log.warning("metrics_port_taken", port=port, reason=(exc.strerror or "cannot be bound").lower())
            is_told = True
            await asyncio.sleep(_AGAIN_S)  # the former process may still hold the port
        else:
            await web.SockSite(runner, bound).start()
            _log.info("metrics_listening", url=f"http://{_HOST}:{port}/metrics")
            return
