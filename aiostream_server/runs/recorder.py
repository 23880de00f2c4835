"""The recorder: everything that a run's team does, said once, in order, in the run's log.

It hears from two sides. Model clients hand it tokens the moment they arrive (`models.tap.Sink`); AutoGen's message
stream, read by the translator, brings the rest later and repeats what was already heard. So the recorder remembers
what each agent said, which tools were called and which have answered, and drops the repetition.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from autogen_core import FunctionCall
from autogen_core.models import FinishReasons, FunctionExecutionResult, RequestUsage

from aiostream_server import events
from aiostream_server.config.model import SpeechRole
from aiostream_server.events import (
    Action,
    Analysis,
    Event,
    Message,
    Said,
    SpeechKind,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Usage,
    Validation,
)
from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.keywords import kind_by_name, kind_by_words
from aiostream_server.runs.speech import Speech, Utterance
from aiostream_server.store.log import RunLog

MAX_BLOCK_UNITS: Final = 8_000
"""Of a tool call or result, in UTF-16 units. It is shown in one SSE line, where each takes up to 6 bytes of ASCII; no
such line may reach 64 KiB."""

_TURNS_FOR_AUTOGEN: Final = 40  # of the event loop; measured: 6 in a group chat


class Recorder:
    """One run's. `roles` and `answer_from` are the config's; `options` go to every model call that is heard."""

    def __init__(
        self,
        log: RunLog,
        *,
        budget: Budget,
        roles: Mapping[str, SpeechRole],
        answer_from: Collection[str],
        options: Mapping[str, Any],
    ) -> None:
        self.usage = TokenCount()
        self.answer: events.Final | None = None
        self.first_token_at: float | None = None
        self.was_cut_short = False
        self._log = log
        self._budget = budget
        self._roles = roles
        self._answer_from = answer_from
        self._options = options
        self._names: frozenset[str] = frozenset()
        self._speech: defaultdict[str, Speech] = defaultdict(Speech)
        self._calls: set[str] = set()
        self._answered: set[str] = set()

    def listen_to(self, names: frozenset[str]) -> None:
        """The team is built: these are its agents. Empty where it does not tell: then everybody is heard."""
        self._names = names
        if len(names) == 1 and not self._answer_from:
            self._answer_from = names  # a lone agent's words are the answer

    # The model clients' side: models.tap.Sink

    @property
    def agents(self) -> tuple[str, ...]:
        """Who did anything, in the order of their first words."""
        return tuple(self._speech)

    @property
    def options(self) -> Mapping[str, Any]:
        left = self._budget.left
        return self._options if left is None else {**self._options, "max_tokens": max(left, 1)}

    def hears(self, speaker: str | None) -> bool:
        return not self._names or self._agent(speaker) in self._names

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        expected = {result.call_id for result in results} & self._calls
        for _ in range(_TURNS_FOR_AUTOGEN):
            if expected <= self._answered:
                return
            await asyncio.sleep(0)  # AutoGen's own event, which may tell more, is on its way through its queues
        for result in results:
            if result.call_id in expected:
                self.tool_answered(self._agent(speaker), result)

    async def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> None:
        agent = self._agent(speaker)
        taken = self._budget.take(len(deltas))
        for delta in deltas[:taken]:
            self._say_one(agent, delta)
        if self._budget.is_spent and taken < len(deltas):
            self._budget.overrun()
        await self._log.room()

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        finish_reason: FinishReasons,
    ) -> None:
        agent = self._agent(speaker)
        self._close(agent)
        self._speech[agent].heard += [part for part in (text, thought) if part]
        for call in calls:
            self.tool_called(agent, call)
        self.was_cut_short = finish_reason == "length"
        if self.was_cut_short and self._budget.is_spent:
            self._budget.overrun()

    async def spent(self, speaker: str | None, usage: RequestUsage) -> None:
        self.usage += TokenCount(usage.prompt_tokens, usage.completion_tokens)
        self._budget.settle(usage.completion_tokens)
        self._emit(Usage(self._agent(speaker), usage.prompt_tokens, usage.completion_tokens))

    # The translator's side

    def chunk(self, agent: str, delta: TextDelta | ThoughtDelta) -> None:
        """A streamed piece from a model client that is not ours."""
        if self._budget.take(1):
            self._say_one(agent, delta)
        else:
            self._budget.overrun()

    def thought(self, agent: str, text: str) -> None:
        """AutoGen's repetition of reasoning is not even true to the letter: it stands only where none was streamed."""
        if not self._speech[agent].has_streamed and text.strip():
            self._emit(Thinking(agent, text))

    def whole(self, agent: str, text: str, *, kind: SpeechKind | None = None) -> None:
        """A message of AutoGen's; nothing happens if these words were heard before."""
        closed = self._close(agent)
        if closed is not None:
            self._speech[agent].heard.append(closed)
        if not self._speech[agent].was_heard(text):
            self._emit(_said(kind or self._kind_of_whole(agent, text), agent, text, streamed=False))
            self._remember_answer(agent, text, streamed=False)

    def verdict(self, agent: str, text: str, *, approved: bool, call_id: str) -> None:
        """A tool call was judged. A blocked one has got its answer by this."""
        if not approved:
            self._answered.add(call_id)
        self._emit(Validation(agent, text, approved))

    def tool_called(self, agent: str, call: FunctionCall) -> None:
        if call.id in self._calls:
            return
        self._calls.add(call.id)
        self._emit(Action(agent, call.name, _capped(call.arguments), call.id))

    def tool_answered(
        self, agent: str, result: FunctionExecutionResult, *, summary: str = "", truncated: bool = False
    ) -> None:
        if result.call_id in self._answered:
            return
        self._answered.add(result.call_id)
        content = _capped(result.content)
        self._emit(
            ToolResult(
                agent,
                result.name,
                content,
                result.call_id,
                is_error=bool(result.is_error),
                truncated=truncated or len(content) < len(result.content),
                summary=summary,
            )
        )

    def close_all(self) -> None:
        """The run ends: what is still being said is said so far."""
        for agent in tuple(self._speech):
            self._close(agent)

    # Inside

    def _agent(self, speaker: str | None) -> str:
        """Outside a group chat nobody says who speaks: then it is the one agent there is."""
        return speaker or next(iter(self._names), "Agent")

    def _say_one(self, agent: str, delta: TextDelta | ThoughtDelta) -> None:
        is_thought = isinstance(delta, ThoughtDelta)
        speech = self._speech[agent]
        if speech.open is not None and speech.open.is_thought != is_thought:
            self._close(agent)
        if speech.open is None:
            speech.open = Utterance("thinking" if is_thought else self._kind_of_stream(agent), is_thought)
            speech.has_streamed = True
        speech.open.pieces.append(delta.text)
        self._emit(Token(agent, delta.text, speech.open.kind))

    def _close(self, agent: str) -> str | None:
        """End the message that the agent is saying, if it is saying one; its text."""
        speech = self._speech[agent]
        spoken, speech.open = speech.open, None
        if spoken is None:
            return None
        kind = "thinking" if spoken.is_thought else self._kind_of_whole(agent, spoken.text)
        self._emit(_said(kind, agent, spoken.text, streamed=True))
        if not spoken.is_thought:
            self._remember_answer(agent, spoken.text, streamed=spoken.kind == "final")
        return spoken.text

    def _remember_answer(self, agent: str, text: str, *, streamed: bool) -> None:
        if agent in self._answer_from:
            self.answer = events.Final(agent, text, streamed)

    def _kind_of_stream(self, agent: str) -> SpeechKind:
        if agent in self._answer_from:
            return "final"
        return self._roles.get(agent) or kind_by_name(agent)

    def _kind_of_whole(self, agent: str, text: str) -> SpeechKind:
        if agent in self._answer_from:
            return "message"
        return self._roles.get(agent) or kind_by_words(agent, text)

    def _emit(self, event: Event) -> None:
        if isinstance(event, Token) and self.first_token_at is None:
            self.first_token_at = time.monotonic()
        self._log.append(event)


def _said(kind: SpeechKind, agent: str, text: str, *, streamed: bool) -> Said:
    match kind:
        case "thinking":
            return Thinking(agent, text, streamed)
        case "validation":
            return Validation(agent, text, None, streamed)
        case "analysis":
            return Analysis(agent, text, streamed)
        case "message" | "final":
            return Message(agent, text, streamed)


def _capped(text: str) -> str:
    if len(text) * 2 <= MAX_BLOCK_UNITS:
        return text
    return text.encode("utf-16-le", "replace")[: MAX_BLOCK_UNITS * 2].decode("utf-16-le", "ignore")
