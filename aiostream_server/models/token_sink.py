"""The tap: how a model's tokens reach the run that they belong to, past AutoGen's runtime.

AutoGen hands each streamed chunk through its runtime as a message, which costs about 200 us of CPU. Here the model
client hands them over itself. The driver of a run sets `current_sink` in its task before it starts the team; AutoGen's
runtime tasks inherit the context, so every model client finds the sink of the run that it works for.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol

from autogen_core import FunctionCall, MessageHandlerContext
from autogen_core.models import FinishReasons, FunctionExecutionResult, RequestUsage

from aiostream_server.models.provider import TextDelta, ThoughtDelta


class TokenSink(Protocol):
    """The run's side of the tap. `speaker` is the agent that the call is made for."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What the client of this run asked every model call for: `temperature`, `seed`, `max_tokens` ..."""
        ...

    def hears(self, speaker: str | None) -> bool:
        """Whether this agent's words are shown: a participant's are, a selector's or orchestrator's are not."""
        ...

    def alive(self) -> None:
        """A model is at work for this run: something of an answer arrived, be it heard or not. Called often."""
        ...

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        """The tools of the speaker's last call answered (AutoGen may say the same again, later)."""
        ...

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        """What the model just wrote. Whether there is room for more: else it `is_full`, perhaps."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the run's viewers are too far behind: then wait for `room` before more is said."""
        ...

    async def room(self) -> None: ...

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        finish_reason: FinishReasons,
    ) -> None:
        """The model call is over; this is all that it gave, and why it stopped (the provider's own reason)."""
        ...

    async def spent(self, speaker: str | None, usage: RequestUsage) -> None:
        """What the call cost: said once for every call of the run, shown or not, finished or not.

        Also said while the call's task is being cancelled, so it must not wait. An estimate, where the provider did
        not say; a call that was refused, or failed before anything of its answer came, cost nothing and is not told.
        """
        ...


current_sink: Final[ContextVar[TokenSink | None]] = ContextVar("current_sink", default=None)


def current_speaker() -> str | None:
    """The agent whose message handler is running; None outside a team (a single agent, a script)."""
    try:
        return MessageHandlerContext.agent_id().type.rsplit("_", 1)[0]
    except RuntimeError:
        return None
