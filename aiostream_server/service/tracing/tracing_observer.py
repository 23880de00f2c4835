"""The observer that makes spans of requests, runs and model calls."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode, Tracer

from aiostream_server.events import TokenCount
from aiostream_server.observe.observer import NO_OBSERVER, CallWatch, RequestWatch, RunWatch
from aiostream_server.service.tracing.context import below, headers_of, here, inside, parent_of
from aiostream_server.service.tracing.run_spans import RunSpans, begin_run

_POLLED: Final = ("/healthz", "/readyz", "/metrics")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_UNKNOWN_ROUTE: Final = "unknown"
_KNOWN_RUNS: Final = 2_000
_FINISH_REASONS: Final = {"function_calls": "tool_calls"}  # AutoGen's word -> OpenAI's

_run: ContextVar[RunSpans | None] = ContextVar("traced_run", default=None)


class TracingObserver:
    """An `Observer`. `content`: whether questions, answers and arguments become attributes of the spans."""

    def __init__(self, tracer: Tracer, *, content: bool) -> None:
        self._tracer = tracer
        self._content = content
        self._runs: OrderedDict[str, tuple[SpanContext, int]] = OrderedDict()  # with the id of its parent

    @contextmanager
    def request(self, request_id: str, method: str, route: str, headers: Mapping[str, str]) -> Iterator[RequestWatch]:
        if route.removeprefix("/api") in _POLLED:
            with NO_OBSERVER.request(request_id, method, route, headers) as no_watch:
                yield no_watch
            return
        shown, known = (method if method in _METHODS else "HTTP"), route != _UNKNOWN_ROUTE
        attributes = {
            "http.request.method": method if method in _METHODS else "_OTHER",
            "aiostream.request.id": request_id,
            **({"http.route": route} if known else {}),
        }
        span = self._tracer.start_span(
            f"{shown} {route}" if known else shown, parent_of(headers), SpanKind.SERVER, attributes
        )
        watch = _RequestSpan(span, self._runs)
        try:
            with inside(span.get_span_context()):
                yield watch
        except asyncio.CancelledError:
            span.set_attribute("aiostream.outcome", "cancelled")  # the client disconnected
            raise
        finally:
            span.end()

    @contextmanager
    def run(
        self, run_id: str, *, model: str, question: str, conversation: str | None, protocol: str
    ) -> Iterator[RunWatch]:
        parent = here()
        text = question if self._content else None
        span = begin_run(self._tracer, run_id, model=model, protocol=protocol, conversation=conversation, question=text)
        if not span.is_recording():
            unsampled = NO_OBSERVER.run(
                run_id, model=model, question=question, conversation=conversation, protocol=protocol
            )
            with inside(span.get_span_context()), unsampled as no_watch:
                yield no_watch
            return
        self._remember(run_id, span.get_span_context(), parent)
        spans = RunSpans(self._tracer, span, content=self._content)
        token = _run.set(spans)
        try:
            with inside(spans.span):
                yield spans
        finally:
            _run.reset(token)
            spans.end()

    @contextmanager
    def model_call(self, name: str, *, model: str, provider: str, agent: str | None) -> Iterator[CallWatch]:
        spans = _run.get()
        turn = None if spans is None else spans.agents.begin_call(agent)
        parent = here() if turn is None else turn.span.get_span_context()
        attributes: dict[str, str | bool] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.request.stream": True,
            "aiostream.model": name,
            **({} if agent is None else {"gen_ai.agent.name": agent}),
        }
        span = self._tracer.start_span(f"chat {model}", below(parent), SpanKind.CLIENT, attributes)
        watch = _CallSpan(span)
        try:
            with inside(span.get_span_context()):
                yield watch
        finally:
            now = time.time_ns()
            span.end(now)
            if spans is not None and turn is not None:
                spans.agents.end_call(turn, now)

    def auxiliary(self, kind: str, *, by: str) -> None: ...

    def viewer_evicted(self) -> None: ...

    def delay(self, seconds: float) -> None: ...

    def _remember(self, run_id: str, span: SpanContext, parent: SpanContext | None) -> None:
        self._runs[run_id] = span, 0 if parent is None else parent.span_id
        if len(self._runs) > _KNOWN_RUNS:
            self._runs.popitem(last=False)


class _RequestSpan:
    def __init__(self, span: Span, runs: Mapping[str, tuple[SpanContext, int]]) -> None:
        self._span = span
        self._runs = runs

    def answered(self, status: int, run_id: str | None) -> None:
        span = self._span
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)
        if run_id is None:
            return
        span.set_attribute("aiostream.run.id", run_id)
        run, parent_id = self._runs.get(run_id, (None, 0))
        if run is not None and parent_id != span.get_span_context().span_id:
            span.add_link(run)  # another request started the run


class _CallSpan:
    def __init__(self, span: Span) -> None:
        self._span = span
        self._began_at = time.perf_counter()
        self.headers: Final = headers_of(span.get_span_context())

    def retried(self, reason: str) -> None:
        self._span.add_event("aiostream.retry", {"error.type": reason})

    def first_token(self) -> None:
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", round(time.perf_counter() - self._began_at, 6))

    def ended(self, usage: TokenCount, finish_reason: str) -> None:
        self._spent(usage)
        reason = _FINISH_REASONS.get(finish_reason, finish_reason)
        self._span.set_attribute("gen_ai.response.finish_reasons", (reason,))

    def failed(self, code: str, usage: TokenCount) -> None:
        if usage != TokenCount():
            self._spent(usage)
        if code == "cancelled":
            self._span.set_attribute("aiostream.outcome", code)
            return
        self._span.set_attribute("error.type", code)
        self._span.set_status(StatusCode.ERROR)

    def _spent(self, usage: TokenCount) -> None:
        self._span.set_attributes(
            {
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
            }
        )
