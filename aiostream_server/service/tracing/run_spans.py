"""The spans of one run: its own, and below it those of its agents and tools."""

from hashlib import sha256
from typing import Final, assert_never

from opentelemetry.trace import Span, SpanContext, StatusCode, Tracer

from aiostream_server.events import (
    Action,
    ActionToken,
    Answer,
    Dropped,
    Error,
    Event,
    InputRequested,
    ModelCalled,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    RunStarted,
    Speech,
    Token,
    ToolRequested,
    ToolResult,
    Usage,
    Waiting,
)
from aiostream_server.service.tracing.agent_spans import AgentSpans, as_messages


class RunSpans:
    """A `RunWatch`. The spans of model calls become children of `agents`' spans."""

    def __init__(self, tracer: Tracer, span: Span, *, content: bool) -> None:
        self.agents: Final = AgentSpans(tracer, span.get_span_context(), content=content)
        self.span: Final[SpanContext] = span.get_span_context()
        self._span: Span | None = span
        self._content = content
        self._outcome = "interrupted"

    def chose(self, team: str) -> None:
        self.agents.begin()
        if self._span is not None:
            self._span.update_name(f"invoke_workflow {team}")
            self._span.set_attribute("gen_ai.workflow.name", team)

    def event(self, event: Event) -> None:
        match event:
            case Answer() | Routing() | Error() | RunFinished():
                if self._span is not None:
                    self._note(event, self._span)
            case Action() | ToolResult() | Token() | Speech():
                self.agents.does(event)
            case (
                RunStarted()
                | Restarted()
                | Waiting()
                | ModelCalled()
                | ActionToken()
                | Usage()
                | InputRequested()
                | ToolRequested()
                | Notice()
                | Dropped()
            ):
                pass
            case _:
                assert_never(event)

    def end(self) -> None:
        """The run's task ends: so does every span that is open."""
        self.agents.end(outcome=self._outcome)
        span, self._span = self._span, None
        if span is not None:
            span.end()

    def _note(self, event: Answer | Routing | Error | RunFinished, span: Span) -> None:
        match event:
            case Routing():
                if event.confidence is not None and event.strategy is not None:
                    attributes = {
                        "aiostream.routing.strategy": event.strategy,
                        "aiostream.routing.confidence": event.confidence,
                    }
                    span.set_attributes(attributes)
            case Answer():
                if self._content:
                    span.set_attribute("gen_ai.output.messages", as_messages("assistant", event.content))
            case Error():
                span.set_attribute("error.type", event.code)
            case RunFinished():
                self._outcome = event.reason
                span.set_attribute("aiostream.outcome", event.reason)
                if self._content and event.stop_reason is not None:  # it may quote what was said
                    span.set_attribute("aiostream.stop_reason", event.stop_reason)
                if event.reason == "error":
                    span.set_status(StatusCode.ERROR)
            case _:
                assert_never(event)


def begin_run(
    tracer: Tracer, run_id: str, *, model: str, protocol: str, conversation: str | None, question: str | None
) -> Span:
    """Start the run's span, a child of the current one: that of the request, which the run may outlive.

    `question` is None where texts are not traced.
    """
    attributes = {"gen_ai.operation.name": "invoke_workflow", "aiostream.run.id": run_id, "aiostream.model": model}
    if protocol:
        attributes["aiostream.protocol"] = protocol
    if conversation is not None:  # hashed, because the client chose the text
        attributes["gen_ai.conversation.id"] = sha256(conversation.encode("utf-8", "replace")).hexdigest()[:32]
    if question is not None:
        attributes["gen_ai.input.messages"] = as_messages("user", question)
    return tracer.start_span("invoke_workflow", attributes=attributes)
