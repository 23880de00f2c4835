"""Prometheus metrics at `/metrics`. `prometheus_client` is imported only if `[metrics]` is enabled.

families    every counter and histogram: its name, labels and buckets
unlocked    counters and histograms of one thread
process     what all Prometheus clients tell of a process
observer    counts what the server reports
exposition  all of them as text, with gauges that are read when they are asked for; served on a loopback port, too
workers     what all workers count, at any of them; one of them listens at the loopback port
totals      the sums of several workers
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.observe.observer import Observer
from aiostream_server.service.composition import GENERATIONS
from aiostream_server.service.status import LastReload
from aiostream_server.service.workers.peers import WorkerPeers
from aiostream_server.web.health import LOOP_LAG, METRICS, SHARED_RUNS
from aiostream_server.web.state import STATE
from aiostream_server.web.traffic import TRAFFIC

if TYPE_CHECKING:
    from aiostream_server.service.metrics.exposition import Metrics
    from aiostream_server.service.metrics.workers import WorkerMetrics


@dataclass(frozen=True, slots=True)
class MetricsExport:
    """One process's metrics, or none if they are not enabled. `port` is that of a listener of its own; 0 is none."""

    metrics: "Metrics | None"
    port: int = 0
    workers: "WorkerMetrics | None" = None

    @classmethod
    def of(cls, config: Config, peers: WorkerPeers | None = None) -> Self:
        """`peers` are those of a worker."""
        if not config.metrics.enabled:
            return cls(None)
        from aiostream_server.service.metrics.exposition import Metrics
        from aiostream_server.service.metrics.workers import WorkerMetrics

        metrics, port = Metrics(config), config.metrics.loopback_port
        if peers is None:
            return cls(metrics, port)
        return cls(metrics, port, WorkerMetrics(metrics.registry, peers, limits_are_shared=config.runs.is_shared))

    @property
    def observers(self) -> tuple[Observer, ...]:
        """The server must report to these."""
        return () if self.metrics is None else (self.metrics.observer,)

    def mount(self, app: web.Application) -> None:
        """Serve `/metrics` from the app. To be called before the app starts."""
        if self.metrics is not None:
            app[METRICS] = self.workers or self.metrics

    @asynccontextmanager
    async def running(self, app: web.Application, last_reload: LastReload | None = None) -> AsyncIterator[None]:
        """Read the app's gauges, and listen on `port`, while the app runs."""
        if self.metrics is None:
            yield
            return
        from aiostream_server.service.metrics.exposition import listening

        state = app[STATE].state
        teams = tuple(team.id for team in state.catalogue)
        conversations, waits = app[GENERATIONS].conversations, app[TRAFFIC].waits
        self.metrics.watch(state.registry, conversations, app[LOOP_LAG], waits, teams)
        self.metrics.watch_shared(app.get(SHARED_RUNS))
        self.metrics.watch_reloads(last_reload or LastReload())
        if self.workers is None:
            async with listening(self.metrics, self.port):
                yield
        else:
            async with self.workers.writing(), listening(self.workers, self.port, self.workers.elect):
                yield
