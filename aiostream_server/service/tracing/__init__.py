"""Traces: what `observe` is told becomes OpenTelemetry spans, sent by OTLP over HTTP.

A module of this package may import OpenTelemetry's SDK; this one does so only where `[tracing]` is enabled. The names
are those of the semantic conventions 1.41.0 (HTTP, and generative AI, which are in development there):
https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs. What has none begins with `aiostream.`.
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
    """Who is to be told, if anybody; and what is to be entered meanwhile. At its end what is left is sent, within a
    second: a collector that hangs holds nothing up."""

    observers: Sequence[Observer]
    sending: AbstractAsyncContextManager[object]

    @staticmethod
    def of(config: TracingConfig) -> "Traces":
        """Raises `ConfigError` without the extra `tracing`, and for variables OTEL_... that make no sense."""
        if not config.enabled:
            return Traces((), nullcontext())
        try:
            from aiostream_server.service.tracing.sending import Sending
        except ModuleNotFoundError as exc:
            if not (exc.name or "").startswith("opentelemetry"):
                raise
            raise ConfigError([_MISSING]) from exc
        from aiostream_server.service.tracing.tracing import Tracing

        sending = Sending(config)
        return Traces((Tracing(sending.tracer, content=config.content),), sending)
