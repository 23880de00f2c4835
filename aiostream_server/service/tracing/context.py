"""W3C trace context in requests and responses (https://www.w3.org/TR/trace-context/), and its ids in log lines.

Needs only OpenTelemetry's API, which AutoGen depends on. `tracestate` is ignored, because some callers put users' names
into it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as current
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_MAX_CHARS: Final = 512  # OpenTelemetry logs a warning for each longer header: a client could fill the log


def parent_of(headers: Mapping[str, str]) -> Context:
    """A context for children of the caller's span. A malformed header counts as absent, as the standard demands."""
    header = headers.get("traceparent", "")
    return _PROPAGATOR.extract({"traceparent": header} if len(header) <= _MAX_CHARS else {}, Context())


def headers_of(span: SpanContext) -> Mapping[str, str]:
    """The headers that make the callee's spans children of this one."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers, below(span))
    return headers


def below(span: SpanContext | None) -> Context:
    """A context for children of the span; without a span, for a new trace."""
    return Context() if span is None else set_span_in_context(NonRecordingSpan(span), Context())


@contextmanager
def inside(span: SpanContext) -> Iterator[None]:
    """`span` is the current one, here and in tasks that are started here.

    The context holds only the ids of the span: pooled connections keep alive the context in which they were opened.
    """
    token = current.attach(set_span_in_context(NonRecordingSpan(span)))
    try:
        yield
    finally:
        current.detach(token)


def here() -> SpanContext | None:
    """The current span, recorded or not."""
    span = get_current_span().get_span_context()
    return span if span.is_valid else None


def add_trace_ids(_: object, __: str, event: EventDict) -> EventDict:
    """A structlog processor that adds the ids of the current span."""
    if (span := here()) is not None:
        event["trace_id"], event["span_id"] = format_trace_id(span.trace_id), format_span_id(span.span_id)
    return event
