"""The status line that Open WebUI shows above an answer: what the run does now, in a few words.

The page shows a description as plain text, but replaces `{{` in it (versions 0.6.36 and 0.12.4). So a description is
one bounded line of printable characters, without `{{`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from aiostream_server.events import (
    SPEECHES,
    Action,
    Dropped,
    Error,
    Event,
    FinishReason,
    InputRequested,
    Notice,
    Routing,
    RunFinished,
    RunStarted,
    Token,
    ToolRequested,
    ToolResult,
    Validation,
    Waiting,
)
from aiostream_server.present.parts import Closed, Opened, Part, Parts
from aiostream_server.text import clipped, printable_line

_MAX_CHARS: Final = 120
_QUERY: Final = "query"
_CUT: Final[Mapping[FinishReason, str]] = {
    "length": "cut at the token limit",
    "content_filter": "cut by the content filter",
}


@dataclass(frozen=True, slots=True)
class Status:
    """`done` is true of the last status of a run, and only of that. A run that ends with calls of the client's tools
    has none: the page runs the tools and asks again."""

    description: str
    done: bool


class StatusLine:
    """One viewer's status line of one run. Feed it every event, in order; it yields each change."""

    def __init__(self, team_name: str = "") -> None:
        """`team_name`: the team was chosen directly, and the line says so until an agent does something."""
        self._parts = Parts()
        self._team_name = team_name
        self._shown = ""
        self._is_done = False
        self._agents: set[str] = set()

    def show(self, event: Event) -> Iterator[Status]:
        if isinstance(event, Token) and self._parts.is_open(event):
            return
        if isinstance(event, RunStarted | Waiting) and (description := self._before_work(event)):
            self._shown = description
            yield Status(description, done=False)
        for part in self._parts.of(event):
            yield from self._change(part)

    def _before_work(self, event: RunStarted | Waiting) -> str:
        if isinstance(event, Waiting) and (event.position != 0 or not self._team_name):
            return _one_line(event.content)
        return _one_line(f"Asking {self._team_name}…") if self._team_name else ""

    def _change(self, part: Part) -> Iterator[Status]:
        if isinstance(part, Opened | Action):
            self._agents.add(part.agent)
        description = _one_line(self._describe(part))
        is_last = isinstance(part, InputRequested | RunFinished)
        if self._is_done or not description or (description == self._shown and not is_last):
            return
        self._shown, self._is_done = description, is_last
        yield Status(description, is_last)

    def _describe(self, part: Part) -> str:
        """Empty for a part that leaves the line as it is."""
        match part:
            case Routing(team=None):
                return "Choosing a team…"
            case Routing():
                return ": ".join(filter(None, (part.team_name or part.team, part.content)))
            case Opened() | Closed():
                return _speaking(part)
            case Action():
                return f"{part.agent} is {_doing(part)}…"
            case ToolResult():
                return part.summary or f"{part.tool} {'failed' if part.is_error else 'answered'}"
            case InputRequested():
                return "Waiting for your answer"
            case ToolRequested():
                return f"{part.agent} is calling {part.tool}…"
            case RunFinished():
                return self._ending(part)
            case Token() | Notice() | Dropped() | Error():
                return ""
            case _:
                assert_never(part)

    def _ending(self, event: RunFinished) -> str:
        match event.reason:
            case "stop" | "length" | "content_filter" | "refusal":
                return self._facts(event)
            case "tool_calls":
                return ""
            case "cancelled":
                return "Stopped"
            case "interrupted":
                return "Interrupted: the server was shut down"
            case "error":
                return f"Failed after {event.duration_s:.1f} s"  # the page shows why below
            case _:
                assert_never(event.reason)

    def _facts(self, event: RunFinished) -> str:
        agents, tokens = len(self._agents), event.usage.prompt_tokens + event.usage.completion_tokens
        facts = [f"Done in {event.duration_s:.1f} s"]
        facts += [f"{agents} agent{'s' * (agents > 1)}"] if agents else []
        facts += [f"{tokens} token{'s' * (tokens > 1)}"] if tokens else []
        facts += [_CUT[event.reason]] if event.reason in _CUT else []
        return " · ".join(facts)


def _speaking(part: Opened | Closed) -> str:
    match part:
        case Closed(said=Validation(approved=bool() as is_approved)):
            return f"{part.agent} {'approved' if is_approved else 'blocked'} the query"
        case Opened(whole=Validation(approved=bool())) | Closed():
            return ""  # a verdict follows when the message is closed
        case _:
            return f"{part.agent} {SPEECHES[part.kind].doing}"


def _one_line(text: str) -> str:
    return clipped(printable_line(text[: 4 * _MAX_CHARS]).replace("{{", "{ {"), _MAX_CHARS)


def _doing(event: Action) -> str:
    """A query of one of several databases names it."""
    if event.tool != _QUERY:
        return f"using {event.tool}"
    try:
        database = json.loads(event.arguments).get("database")
    except (ValueError, AttributeError, RecursionError):
        database = None
    return f"querying {database}" if isinstance(database, str) else "querying"
