"""Entries of a run's log -> what happens to its task.

The answer is the task's artifact, and comes in pieces. Everything else that the team says or does is a status: whole
messages, since A2A is spoken between machines.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias, assert_never

from aiostream_server.events import (
    Action,
    ActionToken,
    Answer,
    Dropped,
    Entry,
    Error,
    Event,
    FinishReason,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    Token,
    ToolRequested,
    ToolResult,
    Validation,
    Waiting,
)
from aiostream_server.present.parts import Closed, Opened, Part, Parts
from aiostream_server.protocols.error_at_end import error_at_end
from aiostream_server.text import one_line

TaskState: TypeAlias = Literal[
    "TASK_STATE_SUBMITTED",
    "TASK_STATE_WORKING",
    "TASK_STATE_COMPLETED",
    "TASK_STATE_FAILED",
    "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED",
]
_ENDED: Final[Mapping[FinishReason, TaskState]] = {
    "cancelled": "TASK_STATE_CANCELED",
    "error": "TASK_STATE_FAILED",
    "interrupted": "TASK_STATE_FAILED",
}
_MAX_VALUE_CHARS: Final = 4_000
_MAX_SAID_CHARS: Final = 20_000
_SUMMARY_CHARS: Final = 200
_FILE: Final = re.compile(
    r"!?\[([^\]\n]{0,200})\]\((https?://[^\s()<>]{1,300}/v1/files/file-[A-Za-z0-9_-]{24}\?[^\s()<>]{1,200})\)"
)


def state_at_end(reason: FinishReason, *, asks_user: bool) -> TaskState:
    """The state of a task at the end of its run."""
    if asks_user and reason == "stop":
        return "TASK_STATE_INPUT_REQUIRED"
    return _ENDED.get(reason, "TASK_STATE_COMPLETED")


@dataclass(frozen=True, slots=True)
class StatusChange:
    """`text` is what the team says with it; `number` counts such messages of a run from 1, and is 0 without one."""

    state: TaskState
    timestamp: float
    text: str = ""
    number: int = 0
    metadata: Mapping[str, Any] | None = None

    @property
    def is_question(self) -> bool:
        return self.state == "TASK_STATE_INPUT_REQUIRED"

    @property
    def is_last(self) -> bool:
        """Whether the run has ended with it."""
        return self.state not in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A piece of the answer. `append`: it follows earlier ones; `is_last`: none follows it."""

    text: str
    append: bool
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file that the answer links; `number` counts those of a run from 1."""

    url: str
    name: str
    number: int


Update: TypeAlias = StatusChange | AnswerText | AnswerFile


class TaskUpdates:
    """What one run does to its task. Feed it every entry, in order."""

    __slots__ = ("_asked", "_begins", "_error", "_files", "_has_begun", "_is_complete", "_parts", "_said", "_works")

    def __init__(self) -> None:
        self._parts = Parts()
        self._begins = False
        self._has_begun = False
        self._is_complete = False
        self._said = 0
        self._works = False
        self._files: list[str] = []
        self._asked: InputRequested | None = None
        self._error: Error | None = None

    def continues(self, token: Token) -> bool:
        """Whether the token is only the next piece of an answer that has begun."""
        return token.kind == "final" and self._has_begun and not self._begins and self._parts.is_open(token)

    def of(self, entry: Entry) -> Iterator[Update]:
        event = entry.event
        if isinstance(event, Waiting) and event.position != 0:
            state: TaskState = "TASK_STATE_WORKING" if event.reason == "model" else "TASK_STATE_SUBMITTED"
            yield self._told(state, entry.timestamp, event.content, event)
        for part in self._parts.of(event):
            yield from self._of_part(part, entry.timestamp)

    def _of_part(self, part: Part, at: float) -> Iterator[Update]:
        if isinstance(part, Restarted):
            self._has_begun = self._is_complete = False  # the next piece of the answer replaces what is there
        if (told := _told_of(part)) is not None:
            yield self._told("TASK_STATE_WORKING", at, *told)
            return
        match part:
            case Opened():
                self._begins = True
                if not self._works:
                    self._works = True
                    yield StatusChange("TASK_STATE_WORKING", at)
            case Token(kind="final"):
                yield self._answered(part.content)
            case Closed(kind="final"):
                yield from self._closed(part)
            case InputRequested():
                self._asked = part
            case Error():
                self._error = part
            case RunFinished():
                yield from self._finished(part, at)

    def _answered(self, text: str) -> AnswerText:
        gap = "\n\n" if self._begins and self._has_begun else ""
        append, self._has_begun, self._begins, self._is_complete = self._has_begun, True, False, False
        return AnswerText(gap + text, append)

    def _closed(self, part: Closed) -> Iterator[Update]:
        if part.said is None:
            return
        for name, url in _FILE.findall(part.said.content):
            if url not in self._files:
                self._files.append(url)
                yield AnswerFile(url, name, len(self._files))
        if isinstance(part.said, Answer):
            yield from self._complete()

    def _complete(self) -> Iterator[Update]:
        if self._has_begun and not self._is_complete:
            self._is_complete = True
            yield AnswerText("", append=True, is_last=True)

    def _finished(self, event: RunFinished, at: float) -> Iterator[Update]:
        yield from self._complete()
        metadata: dict[str, Any] = {
            "finishReason": event.reason,
            "durationSeconds": event.duration_s,
            "usage": {
                "promptTokens": event.usage.prompt_tokens,
                "completionTokens": event.usage.completion_tokens,
            },
        }
        state, text = state_at_end(event.reason, asks_user=self._asked is not None), ""
        if self._asked is not None and event.reason == "stop":
            text = self._asked.content
        elif (error := error_at_end(event.reason, self._error)) is not None:
            text, metadata["error"] = error.message, error.code
        self._said += bool(text)
        yield StatusChange(state, at, text, self._said if text else 0, metadata)

    def _told(self, state: TaskState, at: float, text: str, event: Event | None) -> StatusChange:
        self._said += 1
        self._works = self._works or state == "TASK_STATE_WORKING"
        metadata = None if event is None else {"event": _described(event)}
        return StatusChange(state, at, text[:_MAX_SAID_CHARS], self._said, metadata)


def _told_of(part: Part) -> tuple[str, Event | None] | None:
    """The text of the status that a part becomes, and the event that its metadata shows; None for other parts."""
    match part:
        case Closed(said=said, kind=kind):
            if said is None or kind == "final":
                return None
            return f"{part.agent}: {said.content}", said if isinstance(said, Validation) else None
        case Action():
            return f"{part.agent} calls {part.tool}", part
        case ToolResult():
            return f"{part.tool}: {part.summary or one_line(part.content, _SUMMARY_CHARS)}", part
        case Routing():
            return ": ".join(filter(None, (part.team_name or part.team, part.content))), part
        case Notice() | Restarted():
            return part.content, part
        case (
            Opened()
            | Token()
            | ActionToken()
            | InputRequested()
            | ToolRequested()
            | Dropped()
            | Error()
            | RunFinished()
        ):
            return None
        case _:
            assert_never(part)


def _described(event: Event) -> dict[str, Any]:
    """An event as `/v1/runs` shows it, without its number; of long values the beginning."""
    values = {
        name: value[:_MAX_VALUE_CHARS] if isinstance(value, str) else value for name, value in asdict(event).items()
    }
    return {"type": event.type, **values}
