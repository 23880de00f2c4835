"""One run as spans: itself, and below it what `turns` finds."""

from hashlib import sha256
from typing import Final, get_args

from opentelemetry.trace import Span, SpanContext, StatusCode, Tracer

from aiostream_server.events import Answer, Error, Event, Routing, RunFinished
from aiostream_server.service.tracing.content import as_messages
from aiostream_server.service.tracing.turns import Doing, Turns

_DOING: Final = get_args(Doing)


class RunSpans:
    """A `RunWatch`; model calls of the run find their place by it."""

    def __init__(self, tracer: Tracer, span: Span, *, content: bool) -> None:
        self.turns: Final = Turns(tracer, span.get_span_context(), content=content)
        self.span: Final[SpanContext] = span.get_span_context()
        self._span: Span | None = span
        self._content = content
        self._outcome = "interrupted"

    def chose(self, team: str) -> None:
        self.turns.begin()
        if self._span is not None:
            self._span.update_name(f"invoke_workflow {team}")
            self._span.set_attribute("gen_ai.workflow.name", team)

    def event(self, event: Event) -> None:
        if isinstance(event, _DOING):
            self.turns.does(event)
        elif self._span is not None:
            self._note(event, self._span)

    def end(self) -> None:
        """The run's task ends."""
        self.turns.end(outcome=self._outcome)
        span, self._span = self._span, None
        if span is not None:
            span.end()

    def _note(self, event: Event, span: Span) -> None:
        match event:
            case Routing(confidence=float() as confidence, strategy=str() as strategy):
                span.set_attributes(
                    {"aiostream.routing.strategy": strategy, "aiostream.routing.confidence": confidence}
                )
            case Answer() if self._content:
                span.set_attribute("gen_ai.output.messages", as_messages("assistant", event.content))
            case Error():
                span.set_attribute("error.type", event.code)
            case RunFinished():
                self._outcome = event.reason
                span.set_attribute("aiostream.outcome", event.reason)
                if event.reason == "error":
                    span.set_status(StatusCode.ERROR)


def begin_run(
    tracer: Tracer, run_id: str, *, model: str, question: str, conversation: str | None, content: bool
) -> Span:
    """Below the current span: that of the request, which a run may outlive."""
    attributes = {"gen_ai.operation.name": "invoke_workflow", "aiostream.run.id": run_id, "aiostream.model": model}
    if conversation is not None:  # hashed: it may be whatever the client wrote
        attributes["gen_ai.conversation.id"] = sha256(conversation.encode("utf-8", "replace")).hexdigest()[:32]
    if content:
        attributes["gen_ai.input.messages"] = as_messages("user", question)
    return tracer.start_span("invoke_workflow", attributes=attributes)
