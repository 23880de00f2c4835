"""A collector that accepts OTLP over HTTP, as protobuf, and keeps the spans."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

_KINDS: Final = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it arrived. Ids are hexadecimal, times nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    begun_at: int
    ended_at: int
    attributes: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[str, ...]
    failed: bool


class Collector:
    """Serves on a free port of 127.0.0.1 while it is entered. If it `hangs`, it never answers."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.spans: list[Span] = []
        self.resources: list[Mapping[str, Any]] = []
        self.bodies: list[bytes] = []
        self.endpoint = ""
        self.asked = asyncio.Event()
        self._hangs = hangs
        self._arrived = asyncio.Condition()
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)

    async def until(self, spans: int) -> list[Span]:
        """Waits until so many spans have arrived; returns them in the order of their start."""
        async with asyncio.timeout(60), self._arrived:
            await self._arrived.wait_for(lambda: len(self.spans) >= spans)
        return sorted(self.spans, key=lambda span: span.begun_at)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.endpoint = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.set()
        if self._hangs:
            await asyncio.Event().wait()
        self.bodies.append(body)
        self.spans += _decoded(ExportTraceServiceRequest.FromString(body), self.resources)
        async with self._arrived:
            self._arrived.notify_all()
        return web.Response(content_type="application/x-protobuf")


def tree(spans: list[Span]) -> list[str]:
    """One line for each span, indented below its parent, in the order of their start."""

    def lines(parent_id: str, depth: int) -> Iterator[str]:
        for span in sorted(spans, key=lambda span: span.begun_at):
            if span.parent_id == parent_id:
                yield f"{'  ' * depth}{span.name}"
                yield from lines(span.span_id, depth + 1)

    known = {span.span_id for span in spans}
    roots = dict.fromkeys(span.parent_id for span in spans if span.parent_id not in known)
    return [line for root in roots for line in lines(root, 0)]


def check_nesting(spans: list[Span]) -> None:
    """No child begins before its parent, or ends after it, except runs, which may outlive their requests."""
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        assert span.begun_at <= span.ended_at, span
        parent = by_id.get(span.parent_id)
        if parent is not None and parent.kind != "server":
            assert parent.begun_at <= span.begun_at, (parent, span)
            assert span.ended_at <= parent.ended_at, (parent, span)


def _decoded(request: ExportTraceServiceRequest, resources: list[Mapping[str, Any]]) -> Iterator[Span]:
    for of_resource in request.resource_spans:
        resources.append(_attributes(of_resource.resource.attributes))
        for of_scope in of_resource.scope_spans:
            yield from map(_span, of_scope.spans)


def _span(span: trace_pb2.Span) -> Span:
    return Span(
        span.name,
        _KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        tuple((event.name, _attributes(event.attributes)) for event in span.events),
        tuple(link.span_id.hex() for link in span.links),
        span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind or "")
