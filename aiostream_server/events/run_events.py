"""The events of a run as a whole: how it begins, waits, fails, begins again and ends."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from aiostream_server.events.base import BaseEvent, FinishReason, TokenCount
from aiostream_server.events.fixed_notices import RESTARTED

WaitReason: TypeAlias = Literal["queue", "turn", "model"]


@dataclass(frozen=True, slots=True)
class RunStarted(BaseEvent):
    """The run was admitted. `model` is the model id in the request; `Routing` says which team answers."""

    type: ClassVar[Literal["run_started"]] = "run_started"
    model: str


@dataclass(frozen=True, slots=True)
class Waiting(BaseEvent):
    """The run waits: for a free place (`queue`), for the earlier questions of its conversation (`turn`), or to ask a
    model again that did not answer (`model`). `content` says it in one line.

    `position` counts down to 1 in a queue or a turn, and is 0 once that wait is over; None where it is not known.
    `retry_in_s` are the seconds until the model is asked again.
    """

    type: ClassVar[Literal["waiting"]] = "waiting"
    sign: ClassVar[str] = "⏳"
    content: str
    reason: WaitReason
    position: int | None = None
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Error(BaseEvent):
    """The run failed. `message` is one readable line: no traceback, no path.

    `retry_after_s` are the seconds after which asking again can succeed, if that is known. `lasting`: asking again at
    once fails in the same way.
    """

    type: ClassVar[Literal["error"]] = "error"
    sign: ClassVar[str] = "❌"
    colour: ClassVar[str] = "red"
    code: str
    message: str
    retry_after_s: float | None = None
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Restarted(BaseEvent):
    """The server process that drove the run has failed, and another one begins the team's turn again.

    Nothing that agents said or did before counts any more: messages and calls that are open then stay without an end.
    `attempt` counts the beginnings of the turn; the first `Restarted` of a run has 2. `content` says it in one line.
    """

    type: ClassVar[Literal["restarted"]] = "restarted"
    sign: ClassVar[str] = "🔁"
    attempt: int
    content: str = RESTARTED


@dataclass(frozen=True, slots=True)
class RunFinished(BaseEvent):
    """Last event of every run. `stop_reason` is the team's own reason in one line, such as AutoGen's "Maximum number of
    turns 3 reached."; None if the team gave none."""

    type: ClassVar[Literal["run_finished"]] = "run_finished"
    reason: FinishReason
    usage: TokenCount
    duration_s: float
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped(BaseEvent):
    """Replaces the events from number `first` to its own number, which the log has dropped."""

    type: ClassVar[Literal["dropped"]] = "dropped"
    first: int
