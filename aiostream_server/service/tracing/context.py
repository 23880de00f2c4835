"""W3C trace context in requests and responses (https://www.w3.org/TR/trace-context/), and its ids in log lines.

Needs only OpenTelemetry's API, which AutoGen depends on. `tracestate` is ignored, because some callers put users' names
into it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import context as current
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from structlog.typing import EventDict

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KNOWN_FLAGS: Final = TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID


def parent_of(headers: Mapping[str, str]) -> SpanContext | None:
    """The caller's span. A malformed header counts as absent, as the standard demands."""
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    parent = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16) & _KNOWN_FLAGS))
    return parent if parent.is_valid else None


def traceparent_of(span: SpanContext) -> str:
    """The header that makes the callee's spans children of this one."""
    return f"00-{format_trace_id(span.trace_id)}-{format_span_id(span.span_id)}-{span.trace_flags:02x}"


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
