"""The status line that Open WebUI shows above an answer: what the run does now, in a few words.

What goes on is named with the agent's place in its team: `2/4 Researcher · lookup…`, after a while `· 5 s`. What is
over is told in the past tense. The page keeps all lines in a history: the time is told ever more rarely.

The page shows a description as plain text, but replaces `{{` in it (versions 0.6.36 and 0.12.4). So a description is
one bounded line of printable characters, without `{{`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from aiostream_server.events import (
    SPEECHES,
    Action,
    ActionToken,
    Dropped,
    Error,
    Event,
    FinishReason,
    InputRequested,
    Notice,
    Restarted,
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

Members: TypeAlias = Callable[[str], Sequence[str]]
"""The names of a team's agents in their order, by the team's id; none where they are not known."""

SILENCE_S: Final = 2.5
"""After so long without anything new the line tells how long it has been going on."""

_MOST_SILENCE_S: Final = 30.0
_LONG_SPEECH_S: Final = 2.0
_MAX_CHARS: Final = 120
_QUERY: Final = "query"
_BETWEEN: Final = "Working"
_CUT: Final[Mapping[FinishReason, str]] = {
    "length": "cut at the token limit",
    "content_filter": "cut by the content filter",
}


@dataclass(frozen=True, slots=True)
class Status:
    """`done` is true of the last status of a run, and only of that. A run that ends with calls of the client's tools
    has none: the page runs the tools and asks again."""

    description: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """What goes on since a Unix time in seconds. `did` says it of `agent` in the past tense."""

    label: str
    since: float
    agent: str = ""
    did: str = ""


class StatusLine:
    """One viewer's status line of one run. Feed it every event, in order; it yields each change."""

    def __init__(self, team_name: str = "", team: str = "", members: Members | None = None) -> None:
        """`team` is the id of a team that was chosen directly: the line says so until an agent does something."""
        self._parts = Parts()
        self._team_name = team_name
        self._team = team
        self._members = members
        self._shown = ""
        self._is_done = False
        self._agents: set[str] = set()
        self._step = _Step("", 0.0)
        self._told_at = 0.0
        self._calls: dict[str, _Step] = {}

    def show(self, event: Event, at: float) -> Iterator[Status]:
        """`at` is the event's Unix time in seconds."""
        if isinstance(event, Token) and self._parts.is_open(event):
            return
        if isinstance(event, RunStarted | Restarted | Waiting):
            yield from self._tell(self._before_work(event, at), at)
        for part in self._parts.of(event):
            if isinstance(part, Opened | Action):
                self._agents.add(part.agent)
            yield from self._tell(self._describe(part, at), at, done=isinstance(part, InputRequested | RunFinished))

    def pass_time(self, now: float) -> Iterator[Status]:
        """Call it each `SILENCE_S` without an event: it tells now and then how long the step has taken."""
        lasted_s = now - self._step.since
        if self._step.label and now - self._told_at >= min(max(SILENCE_S, lasted_s / 2), _MOST_SILENCE_S):
            yield from self._tell(f"{self._step.label} · {_duration(lasted_s)}", now)

    def _tell(self, description: str, at: float, *, done: bool = False) -> Iterator[Status]:
        """Empty where the line stays as it is."""
        description = _one_line(description)
        if self._is_done or not description or (description == self._shown and not done):
            return
        self._shown, self._is_done, self._told_at = description, done, at
        yield Status(description, done)

    def _before_work(self, event: RunStarted | Restarted | Waiting, at: float) -> str:
        if isinstance(event, Restarted):
            self._calls.clear()
            self._agents.clear()
            return self._begin(_Step("Beginning again: a server has failed", at))
        if isinstance(event, Waiting) and event.reason == "model":
            return event.content  # the step goes on meanwhile
        if isinstance(event, Waiting) and (event.position != 0 or not self._team_name):
            self._step = _Step(event.content, at)
            return event.content
        return self._begin(_Step(f"Asking {self._team_name}", at)) if self._team_name else ""

    def _begin(self, step: _Step) -> str:
        self._step = step
        return f"{step.label}…"

    def _describe(self, part: Part, at: float) -> str:
        match part:
            case Routing():
                return self._routed(part, at)
            case Opened():
                return self._opened(part, at)
            case Closed():
                return self._closed(part, at)
            case Action():
                return self._called(part, at)
            case ToolResult():
                return self._answered(part, at)
            case InputRequested():
                return "Waiting for your answer"
            case ToolRequested():
                return f"{part.agent} is calling {part.tool}…"
            case RunFinished():
                return self._ending(part)
            case Token() | ActionToken() | Notice() | Dropped() | Restarted() | Error():
                return ""
            case _:
                assert_never(part)

    def _who(self, agent: str) -> str:
        names = () if self._members is None else self._members(self._team)
        return f"{names.index(agent) + 1}/{len(names)} {agent}" if agent in names and len(names) > 1 else agent

    def _routed(self, event: Routing, at: float) -> str:
        if event.team is None:
            return self._begin(_Step("Choosing a team", at))
        self._team = event.team
        self._step = _Step(": ".join(filter(None, (event.team_name or event.team, event.content))), at)
        return self._step.label

    def _called(self, call: Action, at: float) -> str:
        doing, did = _tool_words(call)
        step = self._calls[call.call_id] = _Step(f"{self._who(call.agent)} · {doing}", at, call.agent, did)
        return self._begin(step)

    def _opened(self, part: Opened, at: float) -> str:
        if isinstance(part.whole, Validation) and part.whole.approved is not None:
            return ""  # the verdict follows when the message is closed
        kind = SPEECHES[part.kind]
        return self._begin(_Step(f"{self._who(part.agent)} · {kind.doing}", at, part.agent, kind.did))

    def _closed(self, part: Closed, at: float) -> str:
        step, self._step = self._step, _Step(_BETWEEN, at)
        if isinstance(part.said, Validation) and part.said.approved is not None:
            return f"{part.agent} {'approved' if part.said.approved else 'blocked'} the query"
        lasted_s = at - step.since
        if part.kind == "final" or step.agent != part.agent or lasted_s < _LONG_SPEECH_S:
            return ""  # the next line says enough
        return f"{step.agent} {step.did} · {_duration(lasted_s)}"

    def _answered(self, result: ToolResult, at: float) -> str:
        call = self._calls.pop(result.call_id, None) or _Step("", at, result.agent, f"used {result.tool}")
        self._step = next(reversed(self._calls.values()), _Step(_BETWEEN, at))
        summary = result.summary.removeprefix(f"{result.tool}: ")
        found = f"{call.did}: {summary}" if summary else call.did
        told = f"{call.agent}: {result.tool} failed" if result.is_error else f"{call.agent} {found}"
        lasted_s = at - call.since
        return f"{told} · {_duration(lasted_s)}" if lasted_s >= 1 else told

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


def _one_line(text: str) -> str:
    return clipped(printable_line(text[: 4 * _MAX_CHARS]).replace("{{", "{ {"), _MAX_CHARS)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0.0) + 0.5), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _tool_words(call: Action) -> tuple[str, str]:
    """What the agent does, and did. A query of one of several databases names it."""
    if call.tool != _QUERY:
        return call.tool, f"used {call.tool}"
    try:
        database = json.loads(call.arguments).get("database")
    except (ValueError, AttributeError, RecursionError):
        database = None
    return (f"query {database}", f"queried {database}") if isinstance(database, str) else (_QUERY, "queried")
