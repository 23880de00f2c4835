"""What is going on in a run, in a few words: the line that Open WebUI shows above an answer.

Its page shows a description as plain text, in both versions that were read, but looks for `{{` in it. Descriptions are
one line, bounded, and without characters that are not to be seen.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from aiostream_server.events import (
    Action,
    Event,
    InputRequested,
    Routing,
    RunFinished,
    Said,
    SpeechKind,
    Token,
    ToolResult,
    Validation,
)
from aiostream_server.events.model import Analysis, Answer, Message, Thinking
from aiostream_server.present.lanes import Lanes

_MOST_CHARS: Final = 120
_QUERY: Final = "query"
_SPEAKING: Final[dict[SpeechKind, str]] = {
    "thinking": "is thinking…",
    "validation": "is checking…",
    "analysis": "is analysing…",
    "message": "is writing…",
    "final": "is answering…",
}


@dataclass(frozen=True, slots=True)
class Status:
    """`done`: nothing more is going on; the last one of a run, and only that."""

    description: str
    done: bool


class StatusLine:
    """One viewer's line of one run. Feed it every event, in order; it says what has changed."""

    def __init__(self) -> None:
        self._lanes = Lanes()
        self._speaking: tuple[str, SpeechKind] | None = None
        self._shown = ""
        self._is_done = False
        self._agents: set[str] = set()

    def show(self, event: Event) -> Iterator[Status]:
        for ordered in self._lanes.order(event):
            if isinstance(ordered, Token) and self._speaking == (ordered.agent, ordered.kind):
                continue
            yield from self._change(ordered)

    def _change(self, event: Event) -> Iterator[Status]:
        self._note(event)
        description = _one_line(self._describe(event))
        is_last = isinstance(event, InputRequested | RunFinished)
        if self._is_done or not description or (description == self._shown and not is_last):
            return
        self._shown, self._is_done = description, is_last
        yield Status(description, is_last)

    def _note(self, event: Event) -> None:
        self._speaking = (event.agent, event.kind) if isinstance(event, Token) else None
        if isinstance(event, Token | Action | Thinking | Validation | Analysis | Message | Answer):
            self._agents.add(event.agent)

    def _describe(self, event: Event) -> str:
        """Empty where it changes nothing."""
        match event:
            case Routing(team=None):
                return "Choosing a team…"
            case Routing():
                return ": ".join(filter(None, (event.team_name or event.team, event.content)))
            case Token():
                return f"{event.agent} {_SPEAKING[event.kind]}"
            case Action():
                return f"{event.agent} is {_doing(event)}…"
            case ToolResult():
                return event.summary or f"{event.tool} {'failed' if event.is_error else 'answered'}"
            case Validation() if event.approved is not None:
                return f"{event.agent} {'approved' if event.approved else 'blocked'} the query"
            case Thinking() | Validation() | Analysis() | Message() | Answer():
                return self._said(event)
            case InputRequested():
                return "Waiting for your answer"
            case RunFinished():
                return self._ending(event)
            case _:
                return ""

    def _said(self, event: Said) -> str:
        return "" if event.streamed else f"{event.agent} {_SPEAKING[event.type]}"

    def _ending(self, event: RunFinished) -> str:
        match event.reason:
            case "stop" | "length":
                return self._facts(event)
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
        facts += ["cut at the token limit"] if event.reason == "length" else []
        return " · ".join(facts)


def _one_line(text: str) -> str:
    seen = "".join(char if char.isprintable() else " " for char in text[: 4 * _MOST_CHARS])
    line = " ".join(seen.split()).replace("{{", "{ {")
    return line if len(line) <= _MOST_CHARS else f"{line[: _MOST_CHARS - 1].rstrip()}…"


def _doing(event: Action) -> str:
    """A query names its database, where there are several."""
    if event.tool != _QUERY:
        return f"using {event.tool}"
    try:
        database = json.loads(event.arguments).get("database")
    except (ValueError, AttributeError, RecursionError):
        database = None
    return f"querying {database}" if isinstance(database, str) else "querying"
