"""A server that sends its spans to a collector of the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiostream_server.config.model import Config
from aiostream_server.config.server import TracingConfig
from aiostream_server.observe.observer import fan_out
from aiostream_server.service.tracing import Traces
from tests.kit.serving import Server, serving
from tests.service.tracing.collector import Collector, Span

TRACE_ID = "ab" * 16
CALLER = {"traceparent": f"00-{TRACE_ID}-{'cd' * 8}-01"}


@dataclass(frozen=True, slots=True)
class Traced:
    """A server with traces. After the block, all its spans have arrived."""

    server: Server
    collector: Collector

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def spans(self) -> list[Span]:
        """All spans, in the order of their start."""
        return sorted(self.collector.spans, key=lambda span: span.begun_at)

    def only(self, name: str) -> Span:
        """The one span with this name."""
        (span,) = (span for span in self.collector.spans if span.name == name)
        return span


@asynccontextmanager
async def traced(config: Config, state_directory: Path, **settings: Any) -> AsyncIterator[Traced]:
    """`settings` are of `[tracing]`."""
    async with Collector() as collector:
        traces = Traces.of(TracingConfig(enabled=True, endpoint=collector.endpoint, **settings))
        async with (
            traces.sending,
            serving(config, state_directory, fan_out(*traces.observers)) as server,
        ):
            yield Traced(server, collector)
