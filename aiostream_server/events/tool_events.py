"""The events of tool calls: their arguments as they are written, the call, and its result."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from aiostream_server.events.base import FromAgent


@dataclass(frozen=True, slots=True)
class ActionToken(FromAgent):
    """Text to append to the arguments of a tool call that `agent` is writing; never empty. There are none if the
    arguments come whole. An `Action` with the same `call_id` repeats all of them, made regular; or, of a call
    `for_client` (of one of its own tools), a `ToolRequested`. After a call that is broken off there is neither."""

    type: ClassVar[Literal["action_token"]] = "action_token"
    may_wait: ClassVar[bool] = True
    agent: str
    tool: str
    content: str
    call_id: str
    for_client: bool = False


@dataclass(frozen=True, slots=True)
class Action(FromAgent):
    """A tool is called. `arguments` is the JSON text as the model wrote it; if `truncated`, its beginning."""

    type: ClassVar[Literal["action"]] = "action"
    sign: ClassVar[str] = "⚡"
    agent: str
    tool: str
    arguments: str
    call_id: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult(FromAgent):
    """The result of a tool call. `summary` is the result in a few words ("4 rows"), or empty."""

    type: ClassVar[Literal["tool_result"]] = "tool_result"
    sign: ClassVar[str] = "📦"
    agent: str
    tool: str
    content: str
    call_id: str
    is_error: bool = False
    truncated: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True)
class ToolRequested(FromAgent):
    """The team waits for the client to run one of its own tools. Such events, one for each call, come right before a
    `RunFinished` with the reason `tool_calls`; such a run has no `Answer`. `arguments` is the JSON text as the model
    wrote it. The next question brings the results, each with the `call_id` of its call, and the team resumes."""

    type: ClassVar[Literal["tool_requested"]] = "tool_requested"
    sign: ClassVar[str] = "🔧"
    agent: str
    tool: str
    arguments: str
    call_id: str
