"""The recorder: everything that a run's team does, written once, in order, into the run's log.

It hears from two sides. Model clients hand it tokens the moment they arrive (`models.token_sink.TokenSink`). AutoGen's
message stream, read by the translator, brings the rest later and repeats what was heard before. So the recorder
remembers what each agent said, which tools were called and which have answered, and drops the repetitions.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult, RequestUsage

from aiostream_server import events
from aiostream_server.errors import ModelFailed, forget_traceback
from aiostream_server.log.protocol import Log
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.ending import EndReason, without_remark
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta
from aiostream_server.runs import notices
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.heard_calls import ToolCalls
from aiostream_server.runs.heard_speech import HeardSpeech, Utterance
from aiostream_server.runs.log_writer import LogWriter, capped
from aiostream_server.runs.speakers import NAMELESS, Speakers
from aiostream_server.teams.autogen_private.client_tools import ClientTools

_BUSY: Final = "The model is busy"
_NO_ANSWER: Final = {"429": _BUSY, "503": _BUSY, "529": _BUSY, "connection": "The model cannot be reached"}
_MOST_FAILURES: Final = 8
_ITERATIONS_FOR_AUTOGEN: Final = 40  # of the event loop; measured: 6 in a group chat


class Recorder(LogWriter):
    """One run's. `options` go to every model call that is heard. `listen_to` comes before anything is said.

    `answer` is what the answering agents said last, `last` what any agent did. `untold` is the last tool result that is
    an answer and that no message has told. `beside` is what each agent said beside its last tool calls, without its
    reasoning; known only of our own model clients. `failures` are the latest model calls that failed.
    `has_begun_answer`: words of the last call, which puts the answer into a form, are in the log. `has_called_client`:
    the run ends with calls of the client's tools.
    """

    def __init__(
        self,
        log: Log,
        budget: Budget,
        options: Mapping[str, Any],
        turn: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`turn` waits until AutoGen may do what follows a model call: see `step_queue`."""
        super().__init__(log, budget)
        self._turn: Final = turn
        self.answer: events.Answer | None = None
        self.last: events.Answer | None = None
        self.beside: dict[str, str] = {}
        self.untold = ""
        self.has_begun_answer = False
        self.has_called_client = False
        self._is_last_call = False
        self.asks_user = False
        self.failures: list[ModelFailed] = []
        self.calls = ToolCalls()
        self.speakers = Speakers()
        self._options = options
        self._speech: defaultdict[str, HeardSpeech] = defaultdict(HeardSpeech)
        self._reported = events.TokenCount()
        self._ends: Final[dict[str, EndReason]] = {}  # of each agent's last model call, the latest last

    def listen_to(self, speakers: Speakers, client_tools: ClientTools | None = None) -> None:
        """The agents of the team. Calls of `client_tools` are told when the run ends."""
        self.speakers = speakers
        self.calls = ToolCalls(client_tools)

    @property
    def ended(self) -> EndReason:
        """How the last model call of the agent that answered has ended."""
        answer = self.answer or self.last
        if answer is None:
            return next(reversed(self._ends.values()), "stop")
        return self._ends.get(answer.agent, "stop")

    @property
    def usage(self) -> events.TokenCount:
        """The tokens of all model calls; of unfinished and broken ones, what they have written so far."""
        return self._reported + events.TokenCount(0, self.budget.unsettled)

    # Called by model clients: models.token_sink.TokenSink

    @property
    def options(self) -> Mapping[str, Any]:
        left = self.budget.left
        return self._options if left is None else {**self._options, "max_tokens": max(left, 1)}

    def hears(self, speaker: str | None) -> bool:
        return self.speakers.hears(speaker)

    def may_call(self, speaker: str | None) -> bool:
        is_bound = self.budget.own_calls_left == 0 and not self._is_last_call
        return not is_bound or self.calls.are_offered_by_client(self.speakers.agent(speaker))

    def allowed(self, speaker: str | None, calls: list[FunctionCall]) -> list[FunctionCall]:
        left, agent = self.budget.own_calls_left, self.speakers.agent(speaker)
        if left is None or self._is_last_call:
            return calls
        own = [call for call in calls if not self.calls.is_clients(agent, call)]
        return [call for call in calls if call not in own[left:]]

    def calling(self, speaker: str | None, model: str) -> None:
        self.tell(events.ModelCalled(self.speakers.agent(speaker), model))

    def retrying(self, reason: str, delay_s: float) -> None:
        words = _NO_ANSWER.get(reason, "The model failed to answer")
        told = f"{words}, trying again in {max(round(delay_s), 1)} s"
        self.log.append(events.Waiting(told, "model", retry_in_s=round(delay_s, 3)))

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        agent = self.speakers.agent(speaker)
        expected = {call for result in results if (call := (agent, result.call_id)) in self.calls.heard}
        for _ in range(_ITERATIONS_FOR_AUTOGEN):
            if self.calls.heard.are_answered(expected):
                return
            await asyncio.sleep(0)  # AutoGen's own event, which may tell more, is on its way through its queues
        for result in results:
            if (agent, result.call_id) in expected:
                self.tool_answered(agent, result)

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        agent = speaker if speaker is not None else self.speakers.agent(speaker)
        taken = self.budget.take(agent, len(deltas))
        if taken == len(deltas) == 1:
            return self._say_alike(agent, type(deltas[0]) is ThoughtDelta, (deltas[0].text,))
        has_room = True
        for kind, alike in groupby(deltas[:taken], type):
            has_room = self._say_alike(agent, kind is ThoughtDelta, [delta.text for delta in alike])
        return has_room

    def write_call(self, speaker: str | None, piece: CallPiece) -> None:
        agent = self.speakers.agent(speaker)
        for event in self.calls.written(agent, piece):
            if event.for_client or self.budget.own_calls_left != 0:  # else the call will not be made
                self._close(agent, before_tool=True)
                self.tell(event)

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        end: End,
    ) -> None:
        agent = self.speakers.agent(speaker)
        self._close(agent, before_tool=bool(calls))
        speech = self._speech[agent]
        speech.end_turn()
        # As models.answer gives it to AutoGen: beside calls, all text is thought.
        repeated = (f"{thought}\n\n{text}",) if calls else (thought, text)
        speech.heard += [part for part in repeated if part.strip()]
        if calls:
            self.beside[agent] = text.strip()
        elif text.strip():
            self.last = events.Answer(agent, text, streamed=False)
            self._remember_answer(agent, text, streamed=True)
        for call in calls:
            self.calls.heard.told_early(agent, call.id)
            self._tell_each(self.calls.called(agent, call))
        self._ends.pop(agent, None)
        self._ends[agent] = end.finish_reason
        if end.finish_reason == "length":
            self.budget.cut_short()
        if calls or text.strip():  # else the next agents get a remark as the answer, and so do the viewers
            self._tell_end(agent, end)
        if self._turn is not None:
            await self._turn()

    async def spent(self, speaker: str | None, usage: RequestUsage, facts: CallFacts) -> None:
        agent = self.speakers.agent(speaker)
        self._speech[agent].is_tapped = True
        told = events.Usage(
            agent,
            usage.prompt_tokens,
            usage.completion_tokens,
            facts.model,
            facts.duration_s,
            facts.first_token_s,
            facts.request_bytes or None,
            facts.answer_bytes or None,
            facts.error,
        )
        self._spend(told)

    def failed(self, error: ModelFailed) -> None:
        self.failures = [*self.failures[1 - _MOST_FAILURES :], error]

    # Called by the translator

    def thought(self, agent: str, text: str) -> None:
        """Reasoning, unless it was heard before. AutoGen's repetition differs in a few characters."""
        if not text.strip() or any(speech.has_thought(text) for speech in self._heard_of(agent)):
            return
        self._close(agent, before_tool=True)
        if not self._speech[agent].has_thought(text):
            self.tell(events.Thinking(agent, text))

    def whole(self, agent: str, text: str) -> None:
        """A whole message, unless its words were heard before."""
        text = without_remark(text)
        if not text.strip():
            return
        self.last = events.Answer(agent, text, streamed=False)
        if any(speech.hear_again(text) for speech in self._heard_of(agent)):
            return
        self._close(agent)
        is_repeated = self._speech[agent].end_turn().strip() == text.strip()
        if is_repeated or self.budget.may_begin_turn():
            is_streamed = is_repeated or self.tell_message(self.speakers.kind_of(agent, text), agent, text)
            self._remember_answer(agent, text, streamed=is_streamed)

    def tool_summary(self, agent: str, text: str) -> None:
        """Tool results that are an agent's answer. The log holds them already, unless they were cut."""
        if text.strip():
            self.last = events.Answer(agent, text, streamed=False)
            is_cut = len(capped(text)) < len(text)
            is_streamed = is_cut and self.tell_message(self.speakers.kind_of(agent, text), agent, text)
            self._remember_answer(agent, text, streamed=is_streamed)
            self.untold = "" if is_cut else text
        self.budget.ended_turn()

    def reported(self, agent: str, usage: RequestUsage) -> None:
        """The cost of a model call as AutoGen tells it. Our own model clients have reported theirs already."""
        if not any(speech.is_tapped for speech in self._heard_of(agent)):
            self._spend(events.Usage(agent, usage.prompt_tokens, usage.completion_tokens))

    def verdict(self, agent: str, text: str, *, approved: bool, call_id: str) -> None:
        """A tool call was judged. The verdict is the answer to a blocked call."""
        if not approved:
            self.calls.heard.is_first_answer(agent, call_id)
        self.tell(events.Validation(agent, text, approved))

    def tool_called(self, agent: str, call: FunctionCall) -> None:
        """A call as AutoGen tells it, unless it was heard before."""
        if self.calls.heard.is_repeated(agent, call.id) or self.calls.heard.is_repeated(NAMELESS, call.id):
            return
        self._close(agent, before_tool=True)
        self._speech[agent].end_turn()
        self._tell_each(self.calls.called(agent, call))

    def tool_answered(
        self, agent: str, result: FunctionExecutionResult, *, summary: str = "", truncated: bool = False
    ) -> None:
        """The result of a call, unless it has one, or the client is to give it."""
        self._tell_each(self.calls.answered(agent, result, summary=summary, truncated=truncated))

    # Called by the run

    def release(self) -> None:
        """Let go of everything. A context keeps this object, and outlives the run: in a pooled connection that was
        opened in it, and in asyncio's timers, cancelled ones too, until they are due."""
        super().release()
        self.budget.release()
        self._speech.clear()
        for failure in self.failures:
            forget_traceback(failure)
        self.failures.clear()
        self._options = {}
        self.answer = self.last = None
        self.untold = ""
        self.beside.clear()
        self.calls = ToolCalls()

    def close_all(self) -> None:
        """End the messages that are still open."""
        for agent in tuple(self._speech):
            self._close(agent)

    def begin_last_call(self, agent: str) -> None:
        """From here on the words of this agent are the answer. The turns are over: no limit of them counts."""
        self._is_last_call = True
        self.speakers = replace(self.speakers, answer_from=(agent,), awaits_form=False)

    def answer_in_form(self, agent: str, text: str, tool: str = "", *, end: EndReason = "stop") -> None:
        """The answer in its form, which nothing has shown yet, and how the model ended it."""
        self._ends.pop(agent, None)
        self._ends[agent] = end
        is_streamed = not tool and self.stream_if_long(agent, text, "final")
        self.answer = events.Answer(agent, text, is_streamed, tool)

    # Inside

    def _heard_of(self, agent: str) -> Iterator[HeardSpeech]:
        """What was heard of the agent, and of speakers without a name."""
        yield self._speech[agent]
        if NAMELESS in self._speech:
            yield self._speech[NAMELESS]

    def _tell_each(self, told: Iterable[events.Event]) -> None:
        for event in told:
            self.tell(event)

    def _spend(self, usage: events.Usage) -> None:
        self._reported += events.TokenCount(usage.prompt_tokens, usage.completion_tokens)
        self.budget.settle(usage.agent, usage.completion_tokens)
        self.tell(usage)

    def _tell_end(self, agent: str, end: End) -> None:
        is_asked_for = end.finish_reason == "length" and self.budget.left == 0  # by the client, which is told
        if (notice := notices.of_model(agent, end)) is not None and not is_asked_for:
            self.tell(notice)

    def _say_alike(self, agent: str, is_thought: bool, texts: Sequence[str]) -> bool:
        speech = self._speech[agent]
        spoken = speech.open
        if spoken is not None and spoken.is_thought != is_thought:
            self._close(agent)
            spoken = None
        if spoken is None:
            if not (self._is_last_call or self.budget.may_begin_turn()):
                return True
            self.has_begun_answer = self._is_last_call
            spoken = Utterance("thinking" if is_thought else self.speakers.kind_of(agent), is_thought)
            speech.open = spoken
        spoken.add(texts)
        return self.write_tokens(agent, spoken.kind, texts)

    def _close(self, agent: str, *, before_tool: bool = False) -> None:
        """End the agent's open message, if there is one. What leads up to a tool call is no answer."""
        speech = self._speech[agent]
        spoken, speech.open = speech.open, None
        if spoken is None:
            return
        speech.closed.append(spoken)
        is_thinking = spoken.is_thought or before_tool
        kind = "thinking" if is_thinking else self.speakers.kind_of(agent, spoken.text)
        self.tell_message(kind, agent, spoken.text, streamed=True)
        if not is_thinking:
            self._remember_answer(agent, spoken.text, streamed=True)

    def _remember_answer(self, agent: str, text: str, *, streamed: bool) -> None:
        if self.speakers.answers(agent):
            self.answer = events.Answer(agent, text, streamed)
