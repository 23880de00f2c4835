"""The token tap: a run's `TokenSink`, which model clients hand tokens to without AutoGen's runtime in between.

AutoGen publishes each streamed chunk as a runtime message, at about 200 us of CPU time. A run sets `current_sink` in
its task before it starts the team; AutoGen's runtime tasks inherit the context, so each model client finds the sink of
its run.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol

from autogen_core import FunctionCall, MessageHandlerContext
from autogen_core.models import FunctionExecutionResult, RequestUsage

from aiostream_server.errors import ModelFailed
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta


class TokenSink(Protocol):
    """What a run receives from its model calls. `speaker` is the agent that makes the call."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the run's request for every model call: `temperature`, `seed`, `max_tokens` ..."""
        ...

    def hears(self, speaker: str | None) -> bool:
        """Whether this agent's words are shown: a participant's are; a selector's or orchestrator's are not."""
        ...

    def may_call(self, speaker: str | None) -> bool:
        """Whether the run may make more tool calls: False where the request bounds them, and all are made."""
        ...

    def allowed(self, speaker: str | None, calls: list[FunctionCall]) -> list[FunctionCall]:
        """The calls that are within such a bound. The others are ignored."""
        ...

    def alive(self) -> None:
        """A piece of an answer arrived, shown or not: the run is not idle. Called often."""
        ...

    def calling(self, speaker: str | None, model: str) -> None:
        """A call begins, shown or not. `model` is the provider's name for it."""
        ...

    def retrying(self, reason: str, delay_s: float) -> None:
        """The provider did not answer, and is asked again in `delay_s`. `reason`: a status ("429") or "connection"."""
        ...

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        """The results of the speaker's last tool calls; AutoGen's own messages may repeat them later."""
        ...

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        """Show what the model wrote. True: there is room for more. False: check `is_full`."""
        ...

    def write_call(self, speaker: str | None, piece: CallPiece) -> None:
        """Show what the model wrote of a call's arguments. `said` tells the whole call."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the viewers are past the high-water mark: then await `room` (backpressure)."""
        ...

    async def room(self) -> None: ...

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        end: End,
    ) -> None:
        """The end of a model call: all that it gave, and how the provider says that it ended."""
        ...

    async def spent(self, speaker: str | None, usage: RequestUsage, facts: CallFacts) -> None:
        """What a call cost, and how it went: once for every call, shown or not, finished or not; an estimate if no cost
        was reported.

        It must not wait: it is also called while the call's task is being cancelled. A call that failed before the
        first piece of its answer cost nothing; one that was cancelled before it is not told.
        """
        ...

    def failed(self, error: ModelFailed) -> None:
        """A model call failed. AutoGen passes its error on as text, which loses everything but the message."""
        ...


current_sink: Final[ContextVar[TokenSink | None]] = ContextVar("current_sink", default=None)


def current_speaker() -> str | None:
    """The agent that owns the running message handler; None outside a team (a single agent, a script)."""
    try:
        return MessageHandlerContext.agent_id().type.rsplit("_", 1)[0]
    except RuntimeError:
        return None
