"""What a run can say: a closed union, with every fact that is true of a kind of event beside it.

`RunStarted`, then any number of the others, then exactly one `RunFinished`: nothing follows it. The run's log numbers
events 1, 2, 3 ... and stamps them: an `Entry`.

A message that was streamed is any number of `Token`s of one agent, closed by that agent's whole message: a `Speech`
with `streamed=True` and a `content` that repeats the text of those tokens. `present.parts` knows this for all readers.

To add a kind: write its class here, in `run_events` or in `tool_events`, and add it to `Event`; if agents say it,
derive it from `Speech`, add it to `Said` too, and its name to `SpeechKind`. Consumers test a base class or close their
`match` with `assert_never`, so mypy names each place that must handle the new kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, NamedTuple, TypeAlias, get_args

from aiostream_server.events.base import FromAgent, OfModelCall, Speech
from aiostream_server.events.run_events import Dropped, Error, Restarted, RunFinished, RunStarted, Waiting
from aiostream_server.events.tool_events import Action, ActionToken, ToolRequested, ToolResult

SpeechKind: TypeAlias = Literal["thinking", "validation", "analysis", "message", "final"]
NoticeReason: TypeAlias = Literal["length", "content_filter", "other", "team_ended", "not_kept", "not_recalled"]


@dataclass(frozen=True, slots=True)
class Routing(FromAgent):
    """The team that the question goes to. `team` and `confidence` (0 to 1) are None until it is chosen."""

    type: ClassVar[Literal["routing"]] = "routing"
    sign: ClassVar[str] = "🎯"
    colour: ClassVar[str] = "magenta"
    agent: str
    content: str
    team: str | None = None
    team_name: str | None = None
    confidence: float | None = None
    strategy: Literal["rules", "model", "fallback"] | None = None


@dataclass(frozen=True, slots=True)
class Thinking(Speech):
    """An agent's reasoning, or its words before a tool call."""

    type: ClassVar[Literal["thinking"]] = "thinking"
    sign: ClassVar[str] = "🤔"
    colour: ClassVar[str] = "yellow"
    doing: ClassVar[str] = "thinking"
    did: ClassVar[str] = "thought"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Validation(Speech):
    """A verdict. `approved` is None where it stands in the words only."""

    type: ClassVar[Literal["validation"]] = "validation"
    sign: ClassVar[str] = "🛡"
    colour: ClassVar[str] = "blue"
    doing: ClassVar[str] = "checking"
    did: ClassVar[str] = "checked"
    agent: str
    content: str
    approved: bool | None = None
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Analysis(Speech):
    """An agent's reading of results."""

    type: ClassVar[Literal["analysis"]] = "analysis"
    sign: ClassVar[str] = "📊"
    colour: ClassVar[str] = "cyan"
    doing: ClassVar[str] = "analysing"
    did: ClassVar[str] = "analysed"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Message(Speech):
    """Anything else an agent says."""

    type: ClassVar[Literal["message"]] = "message"
    sign: ClassVar[str] = "💬"
    colour: ClassVar[str] = "white"
    doing: ClassVar[str] = "writing"
    did: ClassVar[str] = "wrote"
    agent: str
    content: str
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Token(FromAgent):
    """Text to append to the message of `kind` that `agent` is saying; never empty."""

    type: ClassVar[Literal["token"]] = "token"
    agent: str
    content: str
    kind: SpeechKind


@dataclass(frozen=True, slots=True)
class ModelCalled(OfModelCall):
    """A model call of the agent begins. `model` is the provider's name for it. A `Usage` of the agent tells its end; a
    call that is cancelled before its answer has none."""

    type: ClassVar[Literal["model_called"]] = "model_called"
    agent: str
    model: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Usage(OfModelCall):
    """The tokens of one model call, and how it went. `model` is the provider's name for it.

    Times are in seconds, from the call's beginning to the first piece of its answer and to its end. Sizes are in bytes,
    of what was sent to the provider and read from it. `error` is the code of a call that failed. Each is empty or None
    where it is not known: of a model client that is not this server's.
    """

    type: ClassVar[Literal["usage"]] = "usage"
    agent: str
    prompt_tokens: int
    completion_tokens: int
    model: str = field(default="", compare=False)
    duration_s: float | None = field(default=None, compare=False)
    first_token_s: float | None = field(default=None, compare=False)
    request_bytes: int | None = field(default=None, compare=False)
    answer_bytes: int | None = field(default=None, compare=False)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer(Speech):
    """The run's answer, once, before `InputRequested` and `RunFinished`. A failed or cancelled run may have none.

    Where a request forces a call of one of its own tools, `tool` is its name, and `content` the JSON of its arguments.
    """

    type: ClassVar[Literal["final"]] = "final"
    sign: ClassVar[str] = "✅"
    colour: ClassVar[str] = "green"
    doing: ClassVar[str] = "answering"
    did: ClassVar[str] = "answered"
    agent: str
    content: str
    streamed: bool = False
    tool: str = ""


@dataclass(frozen=True, slots=True)
class InputRequested(FromAgent):
    """The team waits for the user. `agent` asks `content`, which an earlier message has shown. The next question of
    the same conversation is the reply, and the team resumes. `is_approval`: a yes or a no is enough."""

    type: ClassVar[Literal["input_requested"]] = "input_requested"
    sign: ClassVar[str] = "🙋"
    agent: str
    content: str
    is_approval: bool = False


@dataclass(frozen=True, slots=True)
class Notice(FromAgent):
    """How something ended, where nothing else shows it: the answer of `agent` was cut off (`length`), withheld
    (`content_filter`) or ended in an `other` unusual way, or a limit or condition ended the team behind the words of
    `agent` (`team_ended`). Or what the server does not remember: this turn is not saved (`not_kept`), or the earlier
    ones could not be read (`not_recalled`). `content` says it in one line."""

    type: ClassVar[Literal["notice"]] = "notice"
    sign: ClassVar[str] = "📌"
    agent: str
    content: str
    reason: NoticeReason

    @property
    def is_about_memory(self) -> bool:
        return self.reason in ("not_kept", "not_recalled")


Said: TypeAlias = Thinking | Validation | Analysis | Message | Answer
Event: TypeAlias = (
    RunStarted
    | Waiting
    | Routing
    | Thinking
    | ActionToken
    | Action
    | ToolResult
    | Validation
    | Analysis
    | Message
    | Token
    | ModelCalled
    | Usage
    | Answer
    | InputRequested
    | ToolRequested
    | Notice
    | Error
    | Restarted
    | RunFinished
    | Dropped
)

EVENTS: Final[Mapping[str, type[Event]]] = {cls.type: cls for cls in get_args(Event)}
"""Every kind by its name in JSON."""
SPEECHES: Final[Mapping[SpeechKind, type[Said]]] = {cls.type: cls for cls in get_args(Said)}
"""Every kind of whole message by the `kind` of its tokens."""

if {*SPEECHES} != {*get_args(SpeechKind)} or not all(
    kind.sign and kind.doing and kind.did for kind in SPEECHES.values()
):
    raise TypeError("each word of SpeechKind needs one class in Said, with a sign, a `doing` and a `did`")


class Entry(NamedTuple):
    """An event in its run's log: `seq` counts from 1 without a gap; `timestamp` is Unix time in seconds.

    A frozen dataclass takes three times as long to make.
    """

    seq: int
    timestamp: float
    event: Event
