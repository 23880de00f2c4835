"""Model calls that a run counts and does not show: those that put its answer into a form, before it is known to fit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult, RequestUsage

from aiostream_server.errors import ModelFailed
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta
from aiostream_server.models.token_sink import current_sink
from aiostream_server.runs.recorder import Recorder


@contextmanager
def unheard(recorder: Recorder) -> Iterator[None]:
    """Model calls are counted meanwhile, and not shown."""
    previous = current_sink.set(_Unheard(recorder))
    try:
        yield
    finally:
        current_sink.reset(previous)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Unheard:
    """A `TokenSink` of calls that are not shown."""

    recorder: Recorder

    options: Mapping[str, Any] = field(default_factory=dict)
    is_full: bool = False

    def hears(self, speaker: str | None) -> bool:
        return False

    def may_call(self, speaker: str | None) -> bool:
        return True

    def allowed(self, speaker: str | None, calls: list[FunctionCall]) -> list[FunctionCall]:
        return calls

    def alive(self) -> None:
        self.recorder.alive()

    async def room(self) -> None:
        return

    def calling(self, speaker: str | None, model: str) -> None:
        self.recorder.calling(speaker, model)

    def retrying(self, reason: str, delay_s: float) -> None:
        self.recorder.retrying(reason, delay_s)

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        return True

    def write_call(self, speaker: str | None, piece: CallPiece) -> None:
        return

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        return

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        end: End,
    ) -> None:
        return

    def failed(self, error: ModelFailed) -> None:
        self.recorder.failed(error)

    async def spent(self, speaker: str | None, usage: RequestUsage, facts: CallFacts) -> None:
        await self.recorder.spent(speaker, usage, facts)
