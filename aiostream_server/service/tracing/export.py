"""Sends spans in batches, from a thread, to a collector that speaks OTLP over HTTP.

The tracer provider is not the global one: AutoGen would use that to trace every message of its runtime.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Self
from uuid import uuid4

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Tracer

from aiostream_server import __version__
from aiostream_server.config.server import TracingConfig
from aiostream_server.errors import ConfigError

_PATH: Final = "/v1/traces"
_LAST_BATCHES_S: Final = 1.0
_REMINDER_S: Final = 300.0
_NOISY_LOGGERS: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")  # several lines for each batch
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.41.0"

_log = structlog.get_logger()


class SpanExport:
    """While it is entered, spans that end are sent. Its exit takes at most a second, even if the collector hangs."""

    def __init__(self, config: TracingConfig) -> None:
        """Raises `ConfigError` for a malformed variable OTEL_...; so does entering it."""
        with _explained():
            self._exporter = LossReportingExporter(OTLPSpanExporter(endpoint=_endpoint(config)))
        self._provider = TracerProvider(
            resource=_resource(config),
            sampler=ParentBasedTraceIdRatio(config.sample_ratio),
            shutdown_on_exit=False,  # else the exit of the process waits half a minute for a collector that hangs
        )
        self.tracer: Final[Tracer] = self._provider.get_tracer("aiostream_server", __version__, schema_url=_SCHEMA)

    async def __aenter__(self) -> Self:
        with _explained():
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Sends the last batches from a daemon thread, so that the end of the process does not wait for them."""
        loop, is_done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(is_done.set)

        threading.Thread(target=shut_down, name="last-traces", daemon=True).start()
        try:
            async with asyncio.timeout(_LAST_BATCHES_S):
                await is_done.wait()
        except TimeoutError:
            _log.warning("last_traces_lost", waited_s=_LAST_BATCHES_S)


class LossReportingExporter(SpanExporter):
    """Logs when the collector begins to refuse spans, a reminder every five minutes, and when it accepts them again.

    Called in the sending thread. Spans that are dropped because the queue is full (2,048; OTEL_BSP_MAX_QUEUE_SIZE) are
    not counted.
    """

    def __init__(self, exporter: SpanExporter, *, reminder_s: float = _REMINDER_S) -> None:
        self._exporter = exporter
        self._reminder_s = reminder_s
        self._lost = 0
        self._logged_at: float | None = None
        for name in _NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._accepted()
        else:
            self._refused(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _accepted(self) -> None:
        if self._logged_at is not None:
            _log.info("traces_arrive_again", lost_spans=self._lost)
            self._logged_at, self._lost = None, 0

    def _refused(self, spans: int) -> None:
        self._lost += spans
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= self._reminder_s:
            self._logged_at = now
            _log.warning("traces_lost", lost_spans=self._lost, note="the collector does not take them")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise ConfigError([f"tracing: the variables OTEL_... make no sense: {exc}"]) from exc


def _resource(config: TracingConfig) -> Resource:
    """OpenTelemetry reads OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME; a name in the file takes precedence."""
    about = {"service.version": __version__, "service.instance.id": str(uuid4())}
    if "service_name" in config.model_fields_set:
        return Resource.create({**about, "service.name": config.service_name})
    resource = Resource.create(about)
    is_named = not str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service")
    return resource if is_named else resource.merge(Resource({"service.name": config.service_name}))


def _endpoint(config: TracingConfig) -> str | None:
    """None makes OpenTelemetry read OTEL_EXPORTER_OTLP_ENDPOINT and similar variables."""
    if config.endpoint is None or config.endpoint.endswith(_PATH):
        return config.endpoint
    return config.endpoint.rstrip("/") + _PATH
