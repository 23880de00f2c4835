"""Calls of tools as AG-UI's events: the team's own, with their results, and those that the client runs."""

from collections.abc import Callable, Iterator

from aiostream_server.events import Action, ToolRequested, ToolResult
from aiostream_server.protocols.ag_ui.subagents import AGUIEvent, Subagents
from aiostream_server.protocols.tool_parts import NO_RESULT, WAITS, CallIds


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
        self._calls = CallIds()
        self._callers: dict[str, AGUIEvent] = {}

    def show(self, part: Action | ToolResult | ToolRequested) -> Iterator[AGUIEvent]:
        if isinstance(part, ToolRequested):
            self.pending.append(part.call_id)
            yield from _call(part.call_id, part.tool, part.arguments, {})
        elif isinstance(part, Action):
            yield from self._called(self._calls.begin(part.call_id), part.agent, part.tool, part.arguments)
        else:
            call_id = self._calls.end(part.call_id)
            if call_id is None:
                call_id = self._calls.unknown(part.call_id)
                yield from self._called(call_id, part.agent, part.tool, "")
            yield self._result(call_id, part.content)

    def close(self, *, waits: bool) -> Iterator[AGUIEvent]:
        """End the calls that got no result; `waits`: since the user is asked first."""
        for call_id in self._calls.end_all():
            yield self._result(call_id, WAITS if waits else NO_RESULT)

    def _called(self, call_id: str, agent: str, tool: str, arguments: str) -> Iterator[AGUIEvent]:
        yield from self._subagents.join(agent)
        by = self._callers[call_id] = self._subagents.by(agent)
        yield from _call(f"{self._run_id}-{call_id}", tool, arguments, by)

    def _result(self, call_id: str, content: str) -> AGUIEvent:
        named = {"messageId": self._next_id(), "toolCallId": f"{self._run_id}-{call_id}"}
        by = self._callers.pop(call_id)
        return {"type": "TOOL_CALL_RESULT", **named, "content": content, "role": "tool", **by}


def _call(call_id: str, tool: str, arguments: str, by: AGUIEvent) -> Iterator[AGUIEvent]:
    yield {"type": "TOOL_CALL_START", "toolCallId": call_id, "toolCallName": tool, **by}
    if arguments:
        yield {"type": "TOOL_CALL_ARGS", "toolCallId": call_id, "delta": arguments, **by}
    yield {"type": "TOOL_CALL_END", "toolCallId": call_id, **by}
