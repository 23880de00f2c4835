"""Calls of tools as AG-UI's events: the team's own, with their results, and those that the client runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aiostream_server.events import Action, ActionToken, ToolRequested, ToolResult
from aiostream_server.protocols.ag_ui.subagents import AGUIEvent, Subagents
from aiostream_server.protocols.tool_parts import NO_RESULT, WAITS, CallIds


@dataclass(slots=True)
class _Call:
    """One that has begun: its id in the stream, who made it, and what was sent of its arguments."""

    wire_id: str
    by: AGUIEvent
    sent: list[str] = field(default_factory=list)

    def begin(self, tool: str) -> AGUIEvent:
        return {"type": "TOOL_CALL_START", "toolCallId": self.wire_id, "toolCallName": tool, **self.by}

    def write(self, text: str) -> AGUIEvent:
        self.sent.append(text)
        return {"type": "TOOL_CALL_ARGS", "toolCallId": self.wire_id, "delta": text, **self.by}

    def end(self, arguments: str = "") -> Iterator[AGUIEvent]:
        """`arguments` are all of them. What was sent stays, also where it was made regular since."""
        sent = "".join(self.sent)
        if arguments.startswith(sent) and (rest := arguments[len(sent) :]):
            yield self.write(rest)
        yield {"type": "TOOL_CALL_END", "toolCallId": self.wire_id, **self.by}


class ToolEvents:
    """The calls of one run. Own calls have the run's id in theirs: models number the calls of every run alike.

    A result belongs to the subagent that called, not to the one that answered. `pending` are the calls that the client
    runs.
    """

    def __init__(self, run_id: str, subagents: Subagents, next_id: Callable[[], str]) -> None:
        self.pending: list[str] = []
        self._run_id = run_id
        self._subagents = subagents
        self._next_id = next_id
        self._ids = CallIds()
        self._open: dict[str, _Call] = {}

    def show(self, part: ActionToken | Action | ToolResult | ToolRequested) -> Iterator[AGUIEvent]:
        if isinstance(part, ActionToken):
            yield from self._written(part)
        elif isinstance(part, Action):
            call_id, is_begun = self._ids.begin(part.agent, part.call_id)
            if not is_begun:
                yield from self._begin(call_id, part.agent, part.tool)
            yield from self._open[call_id].end(part.arguments)
        elif isinstance(part, ToolRequested):
            yield from self._requested(part)
        else:
            yield from self._answered(part)

    def close(self, *, waits: bool) -> Iterator[AGUIEvent]:
        """End the calls that got no result; `waits`: since the user is asked first."""
        for call_id in self._ids.end_written():
            yield from self._open[call_id].end()
        for call_id in self._ids.end_all():
            yield self._result(call_id, WAITS if waits else NO_RESULT)

    def _begin(self, call_id: str, agent: str, tool: str, wire_id: str | None = None) -> Iterator[AGUIEvent]:
        """The `wire_id` of a call of the client's own is that by which it will answer."""
        if wire_id is None:
            yield from self._subagents.join(agent)
            call = _Call(f"{self._run_id}-{call_id}", self._subagents.by(agent))
        else:
            call = _Call(wire_id, {})
        self._open[call_id] = call
        yield call.begin(tool)

    def _written(self, part: ActionToken) -> Iterator[AGUIEvent]:
        if part.for_client and self._ids.is_used(part.agent, part.call_id):
            return  # the client would take it for that one
        call_id, is_begun = self._ids.write(part.agent, part.call_id)
        if not is_begun:
            yield from self._begin(call_id, part.agent, part.tool, part.call_id if part.for_client else None)
        yield self._open[call_id].write(part.content)

    def _requested(self, part: ToolRequested) -> Iterator[AGUIEvent]:
        self.pending.append(part.call_id)
        call_id, is_begun = self._ids.begin(part.agent, part.call_id)
        if not is_begun:
            yield from self._begin(call_id, part.agent, part.tool, part.call_id)
        yield from self._open.pop(call_id).end(part.arguments)
        self._ids.leave(call_id)

    def _answered(self, part: ToolResult) -> Iterator[AGUIEvent]:
        call_id = self._ids.end(part.call_id)
        if call_id is None:
            call_id = self._ids.unknown(part.call_id)
            yield from self._begin(call_id, part.agent, part.tool)
            yield from self._open[call_id].end()
        yield self._result(call_id, part.content)

    def _result(self, call_id: str, content: str) -> AGUIEvent:
        call = self._open.pop(call_id)
        named = {"messageId": self._next_id(), "toolCallId": call.wire_id}
        return {"type": "TOOL_CALL_RESULT", **named, "content": content, "role": "tool", **call.by}
