"""A recorder with a log to read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from autogen_core import FunctionCall
from autogen_core.models import RequestUsage

from aiostream_server.config.model import SpeechRole
from aiostream_server.events import Error, Event, FinishReason
from aiostream_server.log.memory import MemoryLog
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.ending import EndReason
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.recorder import Recorder
from aiostream_server.runs.speakers import Speakers
from aiostream_server.runs.translator import Translator


@dataclass(slots=True)
class Listening:
    """What a run would be: `told` is its events, `ends` the reasons why its budget would end it."""

    log: MemoryLog
    recorder: Recorder
    translator: Translator
    ends: Sequence[FinishReason | Error]

    @property
    def told(self) -> Sequence[Event]:
        return [entry.event for entry in self.log.since(0)]

    async def tapped(
        self,
        speaker: str | None,
        *pieces: str | ThoughtDelta,
        calls: Sequence[FunctionCall] = (),
        finish_reason: EndReason = "stop",
        native: str = "",
    ) -> None:
        """One call of a model client of ours."""
        deltas = [TextDelta(piece) if isinstance(piece, str) else piece for piece in pieces]
        for delta in deltas:
            self.recorder.say(speaker, [delta])
        text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
        thought = "".join(delta.text for delta in deltas if isinstance(delta, ThoughtDelta))
        await self.recorder.said(
            speaker, text=text, thought=thought, calls=calls, end=End(finish_reason, native=native)
        )
        await self.recorder.spent(speaker, RequestUsage(1, len(deltas)), CallFacts())


def listening(
    *names: str,
    limit: int | None = None,
    max_turns: int = 0,
    roles: Mapping[str, SpeechRole] | None = None,
    answer_from: Collection[str] = (),
    code_runners: Collection[str] = (),
) -> Listening:
    log, ends = MemoryLog("r"), list[FinishReason | Error]()
    recorder = Recorder(log, Budget(ends.append, max_tokens=limit, max_turns=max_turns), {"seed": 7})
    recorder.listen_to(Speakers(frozenset(names), answer_from, roles or {}))
    return Listening(log, recorder, Translator(recorder, code_runners), ends)
