"""What a run can say, in the order it can say it.

`RunStarted`, then any number of the others, then exactly one `RunFinished`: nothing follows it. The run's log numbers
events 1, 2, 3 ... and stamps them: an `Entry`.

A message that was streamed is any number of `Token`s of one agent, closed by that agent's whole message (`Thinking`,
`Validation`, `Analysis`, `Message` or `Final`) with `streamed=True`, whose `content` repeats the text of those tokens.
Whoever shows tokens shows nothing for it; whoever wants whole messages ignores tokens.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

SpeechKind: TypeAlias = Literal["thinking", "validation", "analysis", "message", "final"]
FinishReason: TypeAlias = Literal["stop", "length", "cancelled", "error", "interrupted"]


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens that model calls read and wrote, as the providers reported them (or counted, where they did not)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run was admitted. `model` is what the client asked for; which team answers is said by `Routing`."""

    type: ClassVar[Literal["run_started"]] = "run_started"
    model: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Where the question goes. `team` and `confidence` (0 to 1) are None while that is still being decided."""

    type: ClassVar[Literal["routing"]] = "routing"
    agent: str
    content: str
    team: str | None = None
    team_name: str | None = None
    confidence: float | None = None
    strategy: Literal["rules", "model", "fallback"] | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """An agent's reasoning, or what it said before it used a tool."""

    type: ClassVar[Literal["thinking"]] = "thinking"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """A tool is called. `arguments` is the JSON text that the model wrote, as it wrote it; its beginning where it is
    `truncated`."""

    type: ClassVar[Literal["action"]] = "action"
    agent: str
    tool: str
    arguments: str
    call_id: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the tool answered; `summary` says it in a few words ("4 rows"), or is empty."""

    type: ClassVar[Literal["tool_result"]] = "tool_result"
    agent: str
    tool: str
    content: str
    call_id: str
    is_error: bool = False
    truncated: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """A verdict. `approved` is None where the agent gave an opinion in words only."""

    type: ClassVar[Literal["validation"]] = "validation"
    agent: str
    content: str
    approved: bool | None = None
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Analysis:
    """An agent's reading of results."""

    type: ClassVar[Literal["analysis"]] = "analysis"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Anything else an agent says."""

    type: ClassVar[Literal["message"]] = "message"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """Text to append to the message of `kind` that `agent` is saying; never empty."""

    type: ClassVar[Literal["token"]] = "token"
    agent: str
    content: str
    kind: SpeechKind


@dataclass(frozen=True, slots=True)
class Usage:
    """What one model call cost."""

    type: ClassVar[Literal["usage"]] = "usage"
    agent: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Final:
    """The run's answer. Comes once, before `InputRequested` and `RunFinished`, or not at all (an error, a cancelled
    run)."""

    type: ClassVar[Literal["final"]] = "final"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class InputRequested:
    """The team waits for a person: `agent` asks `content`, which was said before. The next question of the same
    conversation is the answer, and the team goes on where it stood."""

    type: ClassVar[Literal["input_requested"]] = "input_requested"
    agent: str
    content: str


@dataclass(frozen=True, slots=True)
class Error:
    """The run failed. `message` is one readable line: no traceback, no path."""

    type: ClassVar[Literal["error"]] = "error"
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """Last event of every run."""

    type: ClassVar[Literal["run_finished"]] = "run_finished"
    reason: FinishReason
    usage: TokenCount
    duration_s: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """Stands for the events from number `first` to this one's own, which are kept no longer."""

    type: ClassVar[Literal["dropped"]] = "dropped"
    first: int


Said: TypeAlias = Thinking | Validation | Analysis | Message | Final
Event: TypeAlias = (
    RunStarted
    | Routing
    | Thinking
    | Action
    | ToolResult
    | Validation
    | Analysis
    | Message
    | Token
    | Usage
    | Final
    | InputRequested
    | Error
    | RunFinished
    | Dropped
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in its run's log: `seq` counts from 1 without a gap; `timestamp` is Unix time in seconds."""

    seq: int
    timestamp: float
    event: Event
