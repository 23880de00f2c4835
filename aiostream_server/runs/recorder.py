"""The recorder: everything that a run's team does, said once, in order, in the run's log.

It hears from two sides. Model clients hand it tokens the moment they arrive (`models.tap.Sink`); AutoGen's message
stream, read by the translator, brings the rest later and repeats what was already heard. So the recorder remembers
what each agent said, which tools were called and which have answered, and drops the repetition.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from autogen_core import FunctionCall
from autogen_core.models import FinishReasons, FunctionExecutionResult, RequestUsage

from aiostream_server import events
from aiostream_server.config.model import SpeechRole
from aiostream_server.events import (
    Action,
    InputRequested,
    Message,
    SpeechKind,
    Thinking,
    TokenCount,
    ToolResult,
    Usage,
    Validation,
)
from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.calls import Calls
from aiostream_server.runs.keywords import kind_by_name, kind_by_words
from aiostream_server.runs.ledger import Ledger, capped, shortened
from aiostream_server.runs.speech import Speech, Utterance, whole_message

_NO_REPLY: Final = (
    "A reply will not reach me: this question belongs to no conversation. Programs name one with X-"
    "Conversation-Id, `aiostream-server ask` with --conversation NAME; Open WebUI names its chats where "
    "ENABLE_FORWARD_USER_INFO_HEADERS is on."
)
_NOTHING_SAID: Final = "The team ended without saying anything."
_NAMELESS: Final = "Agent"
_TURNS_FOR_AUTOGEN: Final = 40  # of the event loop; measured: 6 in a group chat


class Recorder:
    """One run's. `roles` and `answer_from` are the config's; `options` go to every model call that is heard."""

    __slots__ = (
        "_answer_from",
        "_budget",
        "_calls",
        "_ledger",
        "_names",
        "_options",
        "_reported",
        "_roles",
        "_speech",
        "answer",
        "beside",
        "last",
        "was_cut_short",
    )

    def __init__(
        self,
        ledger: Ledger,
        *,
        budget: Budget,
        roles: Mapping[str, SpeechRole],
        answer_from: Collection[str],
        options: Mapping[str, Any],
    ) -> None:
        self.answer: events.Answer | None = None
        self.last: events.Answer | None = None
        self.was_cut_short = False
        self.beside: dict[str, str] = {}
        """What each agent said beside the calls that it made last, its reasoning apart: of our own model clients'."""
        self._ledger = ledger
        self._budget = budget
        self._roles = roles
        self._answer_from = answer_from
        self._options = options
        self._names: frozenset[str] = frozenset()
        self._speech: defaultdict[str, Speech] = defaultdict(Speech)
        self._reported = TokenCount()
        self._calls: Final = Calls()

    def listen_to(self, names: frozenset[str]) -> None:
        """The team is built: these are its agents. Empty where it does not tell: then everybody is heard."""
        self._names = names
        if len(names) == 1 and not self._answer_from:
            self._answer_from = names  # a lone agent's words are the answer

    @property
    def usage(self) -> TokenCount:
        """What every model call cost; of those that go on or were broken off, what they wrote so far."""
        return self._reported + TokenCount(0, self._budget.unsettled)

    @property
    def unanswered_tools(self) -> frozenset[str]:
        """Those that were called, and have not answered."""
        return self._calls.unanswered

    # The model clients' side: models.tap.Sink

    @property
    def options(self) -> Mapping[str, Any]:
        left = self._budget.left
        return self._options if left is None else {**self._options, "max_tokens": max(left, 1)}

    def hears(self, speaker: str | None) -> bool:
        return speaker is None or not self._names or speaker in self._names

    def alive(self) -> None:
        self._ledger.alive()

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        agent = self._agent(speaker)
        expected = {call for result in results if (call := (agent, result.call_id)) in self._calls}
        for _ in range(_TURNS_FOR_AUTOGEN):
            if self._calls.are_answered(expected):
                return
            await asyncio.sleep(0)  # AutoGen's own event, which may tell more, is on its way through its queues
        for result in results:
            if (agent, result.call_id) in expected:
                self.tool_answered(agent, result)

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        agent = speaker if speaker is not None else self._agent(speaker)
        taken = self._budget.take(agent, len(deltas))
        if taken == len(deltas) == 1:
            return self._say_alike(agent, type(deltas[0]) is ThoughtDelta, (deltas[0].text,))
        has_room = self._say(agent, deltas[:taken])
        if taken < len(deltas) and self._budget.is_spent:
            self._budget.overrun()
        return has_room

    @property
    def is_full(self) -> bool:
        return self._ledger.is_full

    async def room(self) -> None:
        await self._ledger.room()

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
        self._close(agent, before_tool=bool(calls))
        speech = self._speech[agent]
        speech.end_turn()
        # As models.answer gives it to AutoGen: beside calls, all is thought.
        repeated = (f"{thought}\n\n{text}",) if calls else (thought, text)
        speech.heard += [part for part in repeated if part.strip()]
        if text.strip() and not calls:
            self.last = events.Answer(agent, text, streamed=False)
            self._remember_answer(agent, text, streamed=True)
        if calls:
            self.beside[agent] = text.strip()
        for call in calls:
            self._calls.told_early(agent, call.id)
            self._call(agent, call)
        self.was_cut_short = finish_reason == "length"
        if self.was_cut_short and self._budget.is_spent:
            self._budget.overrun()

    async def spent(self, speaker: str | None, usage: RequestUsage) -> None:
        agent = self._agent(speaker)
        self._speech[agent].is_tapped = True
        self._spend(agent, usage)

    # The translator's side

    def chunk(self, agent: str, delta: TextDelta | ThoughtDelta) -> None:
        """A streamed piece from a model client that is not ours."""
        if self._budget.take(agent, 1):
            self._say(agent, (delta,))
        else:
            self._budget.overrun()

    def thought(self, agent: str, text: str) -> None:
        """Reasoning; nothing happens if it was heard before. AutoGen's repetition is not even true to the letter."""
        if not text.strip() or any(speech.has_thought(text) for speech in self._voices(agent)):
            return
        self._close(agent, before_tool=True)
        if not self._speech[agent].has_thought(text):
            self._ledger.tell(Thinking(agent, text))

    def whole(self, agent: str, text: str) -> None:
        """A message of AutoGen's; nothing happens if these words were heard before."""
        if not text.strip():
            return
        self.last = events.Answer(agent, text, streamed=False)
        if any(speech.hear_again(text) for speech in self._voices(agent)):
            return
        self._close(agent)
        is_repeated = self._speech[agent].end_turn().strip() == text.strip()
        if is_repeated or self._ledger.work_limit.may_begin():
            self._remember_answer(agent, text, streamed=is_repeated or self._tell_whole(agent, text))

    def tool_summary(self, agent: str, text: str) -> None:
        """The results of tools, given as an agent's answer: they stand in the log already, unless they were cut."""
        if text.strip():
            self.last = events.Answer(agent, text, streamed=False)
            is_long = len(capped(text)) < len(text)
            self._remember_answer(agent, text, streamed=is_long and self._tell_whole(agent, text))
        self._ledger.work_limit.ended_turn()

    def note(self, agent: str, text: str) -> None:
        """Something that is worth telling, and nobody's words."""
        self._ledger.tell(Message(agent, text))

    def reported(self, agent: str, usage: RequestUsage) -> None:
        """What a model call cost, told by AutoGen: news only where the model client is not ours."""
        if not any(speech.is_tapped for speech in self._voices(agent)):
            self._spend(agent, usage)

    def verdict(self, agent: str, text: str, *, approved: bool, call_id: str) -> None:
        """A tool call was judged. A blocked one has got its answer by this."""
        if not approved:
            self._calls.answer(agent, call_id)
        self._ledger.tell(Validation(agent, text, approved))

    def tool_called(self, agent: str, call: FunctionCall) -> None:
        """A call that AutoGen tells of."""
        if self._calls.is_repeated(agent, call.id) or self._calls.is_repeated(_NAMELESS, call.id):
            return
        self._close(agent, before_tool=True)
        self._speech[agent].end_turn()
        self._call(agent, call)

    def tool_answered(
        self, agent: str, result: FunctionExecutionResult, *, summary: str = "", truncated: bool = False
    ) -> None:
        if not self._calls.answer(agent, result.call_id):
            return
        content = capped(result.content)
        self._ledger.tell(
            ToolResult(
                agent,
                shortened(result.name),
                content,
                shortened(result.call_id),
                is_error=bool(result.is_error),
                truncated=truncated or len(content) < len(result.content),
                summary=shortened(summary),
            )
        )

    def release(self) -> None:
        """Let go of everything. Pooled connections keep the context in which they were opened, and so this object."""
        self._ledger.release()
        self._speech.clear()
        self._options = {}

    def close_all(self) -> None:
        """The run ends: what is still being said is said so far."""
        for agent in tuple(self._speech):
            self._close(agent)

    def ask_user(self, asker: str, *, can_reply: bool) -> None:
        """The team waits for the user: what was said last is the question, and the answer of this turn."""
        if not can_reply:
            self.note(asker, _NO_REPLY)
        if self.last is not None and (self.answer is None or self.answer.content != self.last.content):
            self.answer = self.last
        if self.answer is not None:
            self._ledger.tell(self.answer)
        self._ledger.tell(InputRequested(asker, "" if self.last is None else capped(self.last.content)))

    def tell_answer(self) -> None:
        """The team is done: what the answering agents said last, else what anybody did; or that nobody said anything,
        which every client shows where an answer would stand."""
        nothing = events.Answer(self._agent(None), _NOTHING_SAID, streamed=False)
        self._ledger.tell(self.answer or self.last or nothing)

    # Inside

    def _agent(self, speaker: str | None) -> str:
        """Outside a group chat nobody says who speaks: then it is the one agent there is."""
        if speaker is not None:
            return speaker
        return next(iter(self._names)) if len(self._names) == 1 else _NAMELESS

    def _voices(self, agent: str) -> Iterator[Speech]:
        """What the agent said, and what was said by one whose name nobody knew."""
        yield self._speech[agent]
        if _NAMELESS in self._speech:
            yield self._speech[_NAMELESS]

    def _call(self, agent: str, call: FunctionCall) -> None:
        self._calls.called(agent, call.id, call.name)
        arguments = capped(call.arguments)
        truncated = len(arguments) < len(call.arguments)
        self._ledger.tell(Action(agent, shortened(call.name), arguments, shortened(call.id), truncated))

    def _spend(self, agent: str, usage: RequestUsage) -> None:
        self._reported += TokenCount(usage.prompt_tokens, usage.completion_tokens)
        self._budget.settle(agent, usage.completion_tokens)
        self._ledger.tell(Usage(agent, usage.prompt_tokens, usage.completion_tokens))

    def _say(self, agent: str, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        """Whether there is room for more."""
        has_room = True
        for kind, alike in groupby(deltas, type):
            has_room = self._say_alike(agent, kind is ThoughtDelta, [delta.text for delta in alike])
        return has_room

    def _say_alike(self, agent: str, is_thought: bool, texts: Sequence[str]) -> bool:
        speech = self._speech[agent]
        spoken = speech.open
        if spoken is not None and spoken.is_thought != is_thought:
            self._close(agent)
            spoken = None
        if spoken is None:
            if not self._ledger.work_limit.may_begin():
                return True
            spoken = Utterance("thinking" if is_thought else self._kind_of_stream(agent), is_thought)
            speech.open = spoken
        spoken.add(texts)
        return self._ledger.say(agent, spoken.kind, texts)

    def _close(self, agent: str, *, before_tool: bool = False) -> None:
        """End the message that the agent is saying, if it is saying one. What leads up to a tool call is no answer."""
        speech = self._speech[agent]
        spoken, speech.open = speech.open, None
        if spoken is None:
            return
        speech.closed.append(spoken)
        is_thinking = spoken.is_thought or before_tool
        kind = "thinking" if is_thinking else self._kind_of_whole(agent, spoken.text)
        self._ledger.tell(whole_message(kind, agent, spoken.text, streamed=True))
        if not is_thinking:
            self._remember_answer(agent, spoken.text, streamed=True)

    def _tell_whole(self, agent: str, text: str) -> bool:
        """Whether it is so long that it was told as if it had been streamed."""
        kind = self._kind_of_whole(agent, text)
        is_long = self._ledger.say_if_long(agent, text, "final" if agent in self._answer_from else kind)
        self._ledger.tell(whole_message(kind, agent, text, streamed=is_long))
        return is_long

    def _remember_answer(self, agent: str, text: str, *, streamed: bool) -> None:
        if agent in self._answer_from:
            self.answer = events.Answer(agent, text, streamed)

    def _kind_of_stream(self, agent: str) -> SpeechKind:
        if agent in self._answer_from:
            return "final"
        return self._roles.get(agent) or kind_by_name(agent)

    def _kind_of_whole(self, agent: str, text: str) -> SpeechKind:
        if agent in self._answer_from:
            return "message"
        return self._roles.get(agent) or kind_by_words(agent, text)
