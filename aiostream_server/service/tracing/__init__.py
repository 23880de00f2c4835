"""Traces: an observer that makes OpenTelemetry spans and sends them by OTLP over HTTP.

The package imports OpenTelemetry's SDK only if `[tracing]` is enabled. Names follow the semantic conventions 1.41.0 for
HTTP and for generative AI (in development): https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs.
Attributes that these do not define begin with `aiostream.`.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from aiostream_server.config.problem_text import install_hint
from aiostream_server.config.server import TracingConfig
from aiostream_server.errors import ConfigError
from aiostream_server.observe.observer import Observer

_MISSING: Final = f"tracing is enabled, but OpenTelemetry is not installed: {install_hint('tracing')}"


@dataclass(frozen=True, slots=True)
class Traces:
    """The observers to call, and a context manager to enter while the server runs.

    Its exit sends the remaining spans, and takes at most a second even if the collector hangs.
    """

    observers: Sequence[Observer]
    sending: AbstractAsyncContextManager[object]

    @staticmethod
    def of(config: TracingConfig) -> "Traces":
        """Raises `ConfigError` without the extra `tracing`, and for malformed variables OTEL_..."""
        if not config.enabled:
            return Traces((), nullcontext())
        try:
            from aiostream_server.service.tracing.export import SpanExport
        except ModuleNotFoundError as exc:
            if not (exc.name or "").startswith("opentelemetry"):
                raise
            raise ConfigError([_MISSING]) from exc
        from aiostream_server.service.tracing.tracing_observer import TracingObserver

        export = SpanExport(config)
        return Traces((TracingObserver(export.tracer, content=config.content),), export)
