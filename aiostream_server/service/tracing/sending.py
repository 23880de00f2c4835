"""Where spans go: in batches, from a thread of their own, to a collector that speaks OTLP over HTTP.

The provider is ours alone. A global one would make AutoGen trace every message of its runtime.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self
from uuid import uuid4

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Tracer

from aiostream_server import __version__
from aiostream_server.config.server import TracingConfig
from aiostream_server.errors import ConfigError
from aiostream_server.service.tracing.losses import TellingExporter

_PATH: Final = "/v1/traces"
_LAST_BATCHES_S: Final = 1.0
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.41.0"

_log = structlog.get_logger()


class Sending:
    """Spans that end while it is entered are sent. Left within a second, whatever the collector does."""

    def __init__(self, config: TracingConfig) -> None:
        """Raises `ConfigError` for a variable of OpenTelemetry's that makes no sense; so does entering it."""
        with _explained():
            self._exporter = TellingExporter(OTLPSpanExporter(endpoint=_endpoint(config)))
        self._provider = TracerProvider(
            resource=_resource(config),
            sampler=ParentBasedTraceIdRatio(config.sample_ratio),
            shutdown_on_exit=False,  # it would wait half a minute for a collector that hangs
        )
        self.tracer: Final[Tracer] = self._provider.get_tracer("aiostream_server", __version__, schema_url=_SCHEMA)

    async def __aenter__(self) -> Self:
        with _explained():
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        return self

    async def __aexit__(self, *_: object) -> None:
        """From a thread that nothing has to wait for at the end of the process."""
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


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise ConfigError([f"tracing: the variables OTEL_... make no sense: {exc}"]) from exc


def _resource(config: TracingConfig) -> Resource:
    """OpenTelemetry itself reads OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME; a name in the file goes first."""
    about = {"service.version": __version__, "service.instance.id": str(uuid4())}
    if "service_name" in config.model_fields_set:
        return Resource.create({**about, "service.name": config.service_name})
    resource = Resource.create(about)
    is_named = not str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service")
    return resource if is_named else resource.merge(Resource({"service.name": config.service_name}))


def _endpoint(config: TracingConfig) -> str | None:
    """None: OpenTelemetry itself reads OTEL_EXPORTER_OTLP_ENDPOINT and its like."""
    if config.endpoint is None or config.endpoint.endswith(_PATH):
        return config.endpoint
    return config.endpoint.rstrip("/") + _PATH
