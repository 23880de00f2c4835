"""The spans of a run's agents and their tools, derived from the run's events and model calls.

No event marks the beginning or the end of an agent's turn. A turn begins with the first event or model call of its
agent, and ends with the last one before another agent's turn begins; while a model call or a tool of it is open, it
overlaps with that turn. So successive turns of one agent are one span. An agent without a model call is taken to begin
when the last one ended.

Message texts become attributes only if the administrator asks for it, and are cut:
https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-input-messages.json
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from opentelemetry.trace import Span, SpanContext, StatusCode, Tracer

from aiostream_server.events import Action, Said, Speech, Token, ToolResult, Validation
from aiostream_server.service.tracing.context import below
from aiostream_server.text import clipped

MAX_CHARS: Final = 8_000
"""Of one text. A collector refuses a batch that is too large."""
_MAX_SAID: Final = 32  # messages of one turn
_UNNAMED: Final = ""


AgentEvent: TypeAlias = Action | ToolResult | Token | Said


@dataclass(slots=True, eq=False)
class AgentTurn:
    """`tools` are open tool calls, by call id; `tool` is the tool call that runs this agent, if it is inside one."""

    agent: str
    span: Span
    tool: "_Tool | None"
    active_at: int
    calls: int = 0
    tools: "dict[str, _Tool]" = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        return not self.calls and not self.tools


@dataclass(slots=True, eq=False)
class _Tool:
    """`active_at` is the end of the last turn inside of it that has ended."""

    name: str
    span: Span
    active_at: int


class AgentSpans:
    """The agent spans of one run. Times are nanoseconds since 1970."""

    def __init__(self, tracer: Tracer, run: SpanContext, *, content: bool) -> None:
        self._tracer = tracer
        self._run = run
        self._content = content
        self._open: dict[str, AgentTurn] = {}
        self._active_at = time.time_ns()
        self._lone = _UNNAMED
        self._is_open = False

    def begin(self) -> None:
        """The team begins. Model calls before that, such as the routing's, belong to no turn."""
        self._is_open = True

    def begin_call(self, agent: str | None) -> AgentTurn | None:
        """The turn of an agent that calls its model. Its earlier tool calls have ended, with or without a result."""
        if not self._is_open:
            return None
        now = time.time_ns()
        turn = self._turn(self._lone if agent is None else agent, now, now)
        for call_id in tuple(turn.tools):
            self._end_tool(turn, call_id, self._active_at, outcome="unanswered")
        turn.calls += 1
        self._touch(turn, now)
        return turn

    def end_call(self, turn: AgentTurn, at: int) -> None:
        turn.calls -= 1
        self._touch(turn, at)

    def does(self, event: AgentEvent) -> None:
        """An agent's event."""
        if not self._is_open:
            return
        now, active_at = time.time_ns(), self._active_at
        match event:
            case ToolResult():
                self._answered(event, now)
            case Validation(approved=False):
                self._refused(now)
        turn = self._turn(event.agent, now, active_at)
        if isinstance(event, Action):
            self._begin_tool(turn, event, now)
        elif self._content and isinstance(event, Speech) and len(turn.said) < _MAX_SAID:
            turn.said.append(clipped(event.content, MAX_CHARS))
        self._touch(turn, now)

    def end(self, *, outcome: str) -> None:
        """The run ends: so does every span that is open."""
        self._is_open = False
        now = time.time_ns()
        for turn in tuple(self._open.values()):
            for call_id in tuple(turn.tools):
                self._end_tool(turn, call_id, now, outcome=outcome)
        for turn in tuple(self._open.values()):
            if turn.calls:
                turn.active_at = now
            self._end_turn(turn)

    def _turn(self, agent: str, now: int, since: int) -> AgentTurn:
        """The agent's open turn, or a new one, which ends the idle ones.

        A new turn begins at `since`, the time of the last event, unless another agent's model is being called.
        """
        if (turn := self._open.get(agent) or self._named(agent)) is not None:
            return turn
        begins_at = now if any(turn.calls for turn in self._open.values()) else since
        for other in tuple(self._open.values()):
            if other.is_idle:
                self._end_turn(other)
        tool = next((tool for tool in self._tools() if tool.name == agent), None)  # AutoGen's AgentTool
        parent = self._run if tool is None else tool.span.get_span_context()
        attributes = {"gen_ai.operation.name": "invoke_agent"}
        span = self._tracer.start_span("invoke_agent", below(parent), attributes=attributes, start_time=begins_at)
        turn = self._open[agent] = AgentTurn(agent, span, tool, begins_at)
        _name(turn, agent)
        return turn

    def _named(self, agent: str) -> AgentTurn | None:
        """Outside a group chat model calls come without an agent's name: the first agent that speaks made them."""
        turn = self._open.pop(_UNNAMED, None)
        if turn is not None:
            self._lone = agent
            self._open[agent] = turn
            _name(turn, agent)
        return turn

    def _end_turn(self, turn: AgentTurn) -> None:
        for call_id in tuple(turn.tools):
            self._end_tool(turn, call_id, turn.active_at, outcome="unanswered")
        self._open.pop(turn.agent, None)
        if turn.said:
            turn.span.set_attribute("gen_ai.output.messages", as_messages("assistant", *turn.said))
        turn.span.end(turn.active_at)
        if turn.tool is not None:
            turn.tool.active_at = max(turn.tool.active_at, turn.active_at)

    def _touch(self, turn: AgentTurn, at: int) -> None:
        turn.active_at = max(turn.active_at, at)
        self._active_at = max(self._active_at, at)

    def _tools(self) -> Iterator[_Tool]:
        for turn in self._open.values():
            yield from turn.tools.values()

    def _begin_tool(self, turn: AgentTurn, event: Action, now: int) -> None:
        if event.call_id in turn.tools:  # some models restart the numbers of calls with each answer
            self._end_tool(turn, event.call_id, now, outcome="unanswered")
        span = self._tracer.start_span(
            f"execute_tool {event.tool}",
            below(turn.span.get_span_context()),
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": event.tool,
                "gen_ai.tool.call.id": event.call_id,
                "gen_ai.tool.type": "function",
            },
            start_time=now,
        )
        if self._content:
            span.set_attribute("gen_ai.tool.call.arguments", clipped(event.arguments, MAX_CHARS))
        turn.tools[event.call_id] = _Tool(event.tool, span, now)

    def _answered(self, event: ToolResult, now: int) -> None:
        """A tool call ends with its result, which another agent than the caller may have sent."""
        callers = (turn for turn in self._open.values() if event.call_id in turn.tools)
        turn = next(iter(sorted(callers, key=lambda turn: turn.agent != event.agent)), None)
        if turn is None:
            return
        if self._content:
            turn.tools[event.call_id].span.set_attribute("gen_ai.tool.call.result", clipped(event.content, MAX_CHARS))
        self._end_tool(turn, event.call_id, now, error="tool_error" if event.is_error else None)

    def _refused(self, now: int) -> None:
        """A verdict refused a tool call. It does not name the call, so the last open one ends."""
        callers = [turn for turn in self._open.values() if turn.tools]
        if callers:
            self._end_tool(callers[-1], next(reversed(callers[-1].tools)), now, error="refused")

    def _end_tool(self, turn: AgentTurn, call_id: str, at: int, *, error: str | None = None, outcome: str = "") -> None:
        tool = turn.tools.pop(call_id)
        for inner in tuple(self._open.values()):
            if inner.tool is tool:
                self._end_turn(inner)
        at = max(at, tool.active_at)
        if outcome:
            tool.span.set_attribute("aiostream.outcome", outcome)
        if error is not None:
            tool.span.set_attribute("error.type", error)
            tool.span.set_status(StatusCode.ERROR)
        tool.span.end(at)
        self._touch(turn, at)


def _name(turn: AgentTurn, agent: str) -> None:
    turn.agent = agent
    if agent:
        turn.span.update_name(f"invoke_agent {agent}")
        turn.span.set_attribute("gen_ai.agent.name", agent)


def as_messages(role: str, *texts: str) -> str:
    """One message with all texts, as JSON of the conventions."""
    parts = [{"type": "text", "content": clipped(text, MAX_CHARS)} for text in texts]
    return json.dumps([{"role": role, "parts": parts}], ensure_ascii=False)
