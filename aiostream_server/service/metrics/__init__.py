"""What Prometheus reads at `/metrics`. Where it is switched off, `prometheus_client` is not imported.

families    every metric that is counted as it happens: its name, its labels, its buckets
delays      the one that is counted for writes to viewers
vitals      what is read when somebody asks: live runs, viewers, the queue, the event loop
observer    counts what the server tells
exposition  all of them as text
listener    for this machine only, without a key

Each worker counts for itself, and whoever asks at the shared address reaches any of them: there `/metrics` is not
served, and worker number n listens at `loopback_port` + n - 1.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.observe.observer import Observer
from aiostream_server.web.health import LOOP_LAG, METRICS
from aiostream_server.web.state import STATE

if TYPE_CHECKING:
    from aiostream_server.service.metrics.exposition import Metrics


@dataclass(frozen=True, slots=True)
class Counting:
    """`observers` are to be told what happens: one, or none where `[metrics]` is not enabled. `port` is that of this
    process's own listener; 0 is none."""

    metrics: "Metrics | None"
    port: int = 0
    is_shared: bool = False

    @classmethod
    def of(cls, config: Config, worker: int | None) -> Self:
        """`worker` is the process's number, where there are several."""
        if not config.metrics.enabled:
            return cls(None)
        from aiostream_server.service.metrics.exposition import Metrics

        port = config.metrics.loopback_port
        return cls(Metrics(config), port and port + (worker or 1) - 1, is_shared=worker is not None)

    @property
    def observers(self) -> tuple[Observer, ...]:
        return () if self.metrics is None else (self.metrics.observer,)

    def show_in(self, app: web.Application) -> None:
        """Before it starts: at `/metrics`, where all of it is one process's."""
        if self.metrics is not None and not self.is_shared:
            app[METRICS] = self.metrics

    @asynccontextmanager
    async def going_on(self, app: web.Application) -> AsyncIterator[None]:
        """While the app runs: what can only be read then, and the listener."""
        if self.metrics is None:
            yield
            return
        from aiostream_server.service.metrics.listener import listening

        state = app[STATE].state
        self.metrics.watch(state.registry, app[LOOP_LAG], tuple(team.id for team in state.catalogue))
        async with listening(self.metrics, self.port):
            yield
