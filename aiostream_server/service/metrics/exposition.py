"""One server's metrics, and all of them as text: OpenMetrics where that is asked for, else Prometheus' older format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from aiostream_server.config.model import Config
from aiostream_server.observe.observer import Observer
from aiostream_server.runs.registry import Registry
from aiostream_server.service.metrics.families import Families
from aiostream_server.service.metrics.observer import MetricsObserver
from aiostream_server.service.metrics.vitals import Vitals
from aiostream_server.web.health import LoopLag


class Metrics:
    """`observer` counts; `watch` adds what is read only when somebody asks, once it is there."""

    def __init__(self, config: Config) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs; a second series for each
        self._registry: Final = CollectorRegistry()
        self._families: Final = Families(self._registry)
        self._models: Final = tuple(config.models)
        ProcessCollector(registry=self._registry)
        self.observer: Final[Observer] = MetricsObserver(self._families)

    def watch(self, runs: Registry, lag: LoopLag, teams: tuple[str, ...]) -> None:
        """`teams` are the ids of those that are served."""
        self._families.start_at_zero(teams, self._models)
        self._registry.register(Vitals(runs, lag))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The text, and its content type. Takes a millisecond or two."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
