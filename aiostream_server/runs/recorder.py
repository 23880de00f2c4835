"""The recorder: everything that a run's team does, written once, in order, into the run's log.

It hears from two sides. Model clients hand it tokens the moment they arrive (`models.token_sink.TokenSink`). AutoGen's
message stream, read by the translator, brings the rest later and repeats what was heard before. So the recorder
remembers what each agent said, which tools were called and which have answered, and drops the repetitions.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final, Literal

from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult, RequestUsage

from aiostream_server import events
from aiostream_server.config.model import SpeechRole
from aiostream_server.errors import ModelFailed, forget_traceback
from aiostream_server.log.protocol import Log
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.ending import EndReason, without_remark
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.models.provider import End, TextDelta, ThoughtDelta
from aiostream_server.runs import notices
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.client_calls import ClientCalls
from aiostream_server.runs.conversation_memory import Handover
from aiostream_server.runs.heard import HeardCalls, HeardSpeech, Utterance
from aiostream_server.runs.inside import masked
from aiostream_server.runs.log_writer import LogWriter, capped, pieces, shortened
from aiostream_server.runs.speech_kinds import speech_kind
from aiostream_server.runs.team_ending import TeamEnding
from aiostream_server.teams.autogen_private.client_tools import ClientTools

_BUSY: Final = "The model is busy"
_NO_ANSWER: Final = {"429": _BUSY, "503": _BUSY, "529": _BUSY, "connection": "The model cannot be reached"}
_NAMELESS: Final = "Agent"
_MOST_FAILURES: Final = 8
_ITERATIONS_FOR_AUTOGEN: Final = 40  # of the event loop; measured: 6 in a group chat


class Recorder(LogWriter):
    """One run's. `options` go to every model call that is heard. `listen_to` comes before anything is said.

    `answer` is what the answering agents said last, `last` what any agent did. `untold` is the last tool result that is
    an answer and that no message has told. `beside` is what each agent said beside its last tool calls, without its
    reasoning; known only of our own model clients. `failures` are the latest model calls that failed. `awaits_form`:
    what the answering agents say is not the answer yet, because a last call puts it into the form that the request
    asks for; `has_begun_answer`: words of that call are in the log. `has_called_client`: the run ends with calls of the
    client's tools.
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
        self.awaits_form = False
        self.has_begun_answer = False
        self.has_called_client = False
        self._is_last_call = False
        self.asks_user = False
        self.failures: list[ModelFailed] = []
        self.calls: Final = HeardCalls()
        self._options = options
        self._names: frozenset[str] = frozenset()
        self._roles: Mapping[str, SpeechRole] = {}
        self._answer_from: Collection[str] = ()
        self._speech: defaultdict[str, HeardSpeech] = defaultdict(HeardSpeech)
        self._reported = events.TokenCount()
        self._client_calls = ClientCalls()
        self._ends: Final[dict[str, EndReason]] = {}  # of each agent's last model call, the latest last

    def listen_to(
        self,
        names: frozenset[str],
        *,
        answer_from: Collection[str] = (),
        roles: Mapping[str, SpeechRole] | None = None,
        client_tools: ClientTools | None = None,
    ) -> None:
        """The agents of the team; none for a team that does not tell: then every speaker is heard.

        `answer_from` names the agents that answer; by default a lone agent does. `roles` says which
        kind of speech the words of others are. Calls of `client_tools` are told when the run ends.
        """
        self._names = names
        self._answer_from = answer_from or (names if len(names) == 1 else ())
        self._roles = roles or {}
        self._client_calls = ClientCalls(client_tools)

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
        return speaker is None or not self._names or speaker in self._names

    def may_call(self, speaker: str | None) -> bool:
        is_bound = self.budget.own_calls_left == 0 and not self._is_last_call
        return not is_bound or self._client_calls.are_offered(self._agent(speaker))

    def allowed(self, speaker: str | None, calls: list[FunctionCall]) -> list[FunctionCall]:
        left, agent = self.budget.own_calls_left, self._agent(speaker)
        if left is None or self._is_last_call:
            return calls
        own = [call for call in calls if not self._client_calls.is_one(agent, call)]
        return [call for call in calls if call not in own[left:]]

    def calling(self, speaker: str | None, model: str) -> None:
        self.tell(events.ModelCalled(self._agent(speaker), model))

    def retrying(self, reason: str, delay_s: float) -> None:
        words = _NO_ANSWER.get(reason, "The model failed to answer")
        told = f"{words}, trying again in {max(round(delay_s), 1)} s"
        self.log.append(events.Waiting(told, "model", retry_in_s=round(delay_s, 3)))

    async def returned(self, speaker: str | None, results: Sequence[FunctionExecutionResult]) -> None:
        agent = self._agent(speaker)
        expected = {call for result in results if (call := (agent, result.call_id)) in self.calls}
        for _ in range(_ITERATIONS_FOR_AUTOGEN):
            if self.calls.are_answered(expected):
                return
            await asyncio.sleep(0)  # AutoGen's own event, which may tell more, is on its way through its queues
        for result in results:
            if (agent, result.call_id) in expected:
                self.tool_answered(agent, result)

    def say(self, speaker: str | None, deltas: Sequence[TextDelta | ThoughtDelta]) -> bool:
        agent = speaker if speaker is not None else self._agent(speaker)
        taken = self.budget.take(agent, len(deltas))
        if taken == len(deltas) == 1:
            return self._say_alike(agent, type(deltas[0]) is ThoughtDelta, (deltas[0].text,))
        has_room = True
        for kind, alike in groupby(deltas[:taken], type):
            has_room = self._say_alike(agent, kind is ThoughtDelta, [delta.text for delta in alike])
        return has_room

    def write_call(self, speaker: str | None, piece: CallPiece) -> None:
        agent = self._agent(speaker)
        for_client = self._client_calls.takes(agent, piece.tool)
        if self.budget.own_calls_left == 0 and not for_client:
            return  # the call will not be made
        self._close(agent, before_tool=True)
        tool, call_id = shortened(piece.tool), shortened(piece.call_id)
        for text in pieces(piece.text):
            self.tell(events.ActionToken(agent, tool, text, call_id, for_client))

    async def said(
        self,
        speaker: str | None,
        *,
        text: str,
        thought: str,
        calls: Sequence[FunctionCall],
        end: End,
    ) -> None:
        agent = self._agent(speaker)
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
            self.calls.told_early(agent, call.id)
            self._tell_call(agent, call)
        self._ends.pop(agent, None)
        self._ends[agent] = end.finish_reason
        if end.finish_reason == "length":
            self.budget.cut_short()
        if calls or text.strip():  # else the next agents get a remark as the answer, and so do the viewers
            self._tell_end(agent, end)
        if self._turn is not None:
            await self._turn()

    async def spent(self, speaker: str | None, usage: RequestUsage, facts: CallFacts) -> None:
        agent = self._agent(speaker)
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
            is_streamed = is_repeated or self.tell_message(self._kind_of(agent, text), agent, text)
            self._remember_answer(agent, text, streamed=is_streamed)

    def tool_summary(self, agent: str, text: str) -> None:
        """Tool results that are an agent's answer. The log holds them already, unless they were cut."""
        if text.strip():
            self.last = events.Answer(agent, text, streamed=False)
            is_cut = len(capped(text)) < len(text)
            is_streamed = is_cut and self.tell_message(self._kind_of(agent, text), agent, text)
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
            self.calls.is_first_answer(agent, call_id)
        self.tell(events.Validation(agent, text, approved))

    def tool_called(self, agent: str, call: FunctionCall) -> None:
        """A call as AutoGen tells it, unless it was heard before."""
        if self.calls.is_repeated(agent, call.id) or self.calls.is_repeated(_NAMELESS, call.id):
            return
        self._close(agent, before_tool=True)
        self._speech[agent].end_turn()
        self._tell_call(agent, call)

    def tool_answered(
        self, agent: str, result: FunctionExecutionResult, *, summary: str = "", truncated: bool = False
    ) -> None:
        """The result of a call, unless it has one, or the client is to give it."""
        if self._client_calls.waits(agent, result.call_id):
            return
        if (call := self._client_calls.refused(agent, result.call_id)) is not None:
            self._tell_action(agent, call)
        if self.calls.is_first_answer(agent, result.call_id):
            tool, content, call_id = shortened(result.name), capped(result.content), shortened(result.call_id)
            is_cut = truncated or len(content) < len(result.content)
            if is_error := bool(result.is_error):
                content = masked(content)  # the model reads all of it
            self.tell(events.ToolResult(agent, tool, content, call_id, is_error, is_cut, shortened(summary)))

    # Called by the run

    def release(self) -> None:
        """Let go of everything: pooled connections keep the context in which they were opened, and so this object."""
        super().release()
        self._speech.clear()
        for failure in self.failures:
            forget_traceback(failure)
        self.failures.clear()
        self._options = {}

    def close_all(self) -> None:
        """End the messages that are still open."""
        for agent in tuple(self._speech):
            self._close(agent)

    def ask_user(self, handover: Handover, *, can_reply: bool) -> None:
        """The team waits for the user: the last message is the question, and the answer of this turn."""
        self.asks_user = True
        if not can_reply:
            self.tell(events.Message(handover.asker, notices.NO_REPLY))
        if self.last is not None and (self.answer is None or self.answer.content != self.last.content):
            self.answer = self.last
        if self.answer is not None:
            # Where the answer has to be JSON, this one is not shown as the answer: the run fails with it.
            self.tell(replace(self.answer, streamed=True) if self.awaits_form else self.answer)
        question = "" if self.last is None else capped(self.last.content)
        self.tell(events.InputRequested(handover.asker, question, handover.is_approval and can_reply))

    def call_client(self, agents: Collection[str], call_ids: Collection[str]) -> None:
        """The team waits for the results of these calls: they are the last that is told."""
        self.has_called_client = True
        for request in self._client_calls.requested(agents, call_ids):
            self.tell(request)

    def begin_last_call(self, agent: str) -> None:
        """From here on the words of this agent are the answer. The turns are over: no limit of them counts."""
        self.awaits_form, self._is_last_call = False, True
        self._answer_from = (agent,)

    def answer_in_form(self, agent: str, text: str, tool: str = "", *, end: EndReason = "stop") -> None:
        """The answer in its form, which nothing has shown yet, and how the model ended it."""
        self._ends.pop(agent, None)
        self._ends[agent] = end
        is_streamed = not tool and self.stream_if_long(agent, text, "final")
        self.answer = events.Answer(agent, text, is_streamed, tool)

    def tell_answer(self, ending: TeamEnding) -> None:
        """The team is done: tell the answer, else the last message, else why no agent said anything."""
        if (answer := self.answer or self.last) is None:
            words = ending.without_words(has_acted=bool(self.calls))
            agent = self._agent(None)
            self.tell(events.Message(agent, words))  # so that no check mark stands above it
            self.tell(events.Answer(agent, words, streamed=False))
            return
        self.tell(answer)
        if self.answer is None and (why := ending.unexplained(answer.content)) is not None:
            self.tell(notices.of_team(answer.agent, why))

    def tell_memory_failure(self, reason: Literal["not_kept", "not_recalled"], words: str) -> None:
        """The server does not remember the conversation as it should."""
        answer = self.answer or self.last
        self.tell(events.Notice(_NAMELESS if answer is None else answer.agent, words, reason))

    # Inside

    def _agent(self, speaker: str | None) -> str:
        """Outside a group chat the speaker is unknown: then it is the only agent, if there is only one."""
        if speaker is not None:
            return speaker
        return next(iter(self._names)) if len(self._names) == 1 else _NAMELESS

    def _heard_of(self, agent: str) -> Iterator[HeardSpeech]:
        """What was heard of the agent, and of speakers without a name."""
        yield self._speech[agent]
        if _NAMELESS in self._speech:
            yield self._speech[_NAMELESS]

    def _spend(self, usage: events.Usage) -> None:
        self._reported += events.TokenCount(usage.prompt_tokens, usage.completion_tokens)
        self.budget.settle(usage.agent, usage.completion_tokens)
        self.tell(usage)

    def _tell_end(self, agent: str, end: End) -> None:
        is_asked_for = end.finish_reason == "length" and self.budget.left == 0  # by the client, which is told
        if (notice := notices.of_model(agent, end)) is not None and not is_asked_for:
            self.tell(notice)

    def _tell_call(self, agent: str, call: FunctionCall) -> None:
        if not self._client_calls.take(agent, call):
            self._tell_action(agent, call)

    def _tell_action(self, agent: str, call: FunctionCall) -> None:
        self.calls.called(agent, call)
        arguments = capped(call.arguments)
        is_cut = len(arguments) < len(call.arguments)
        self.tell(events.Action(agent, shortened(call.name), arguments, shortened(call.id), is_cut))

    def _kind_of(self, agent: str, text: str = "") -> events.SpeechKind:
        """Of a message, or, without its text, of one that is being streamed."""
        if agent in self._answer_from:
            return "message" if self.awaits_form else "final"
        return self._roles.get(agent) or speech_kind(agent, text)

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
            spoken = Utterance("thinking" if is_thought else self._kind_of(agent), is_thought)
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
        kind = "thinking" if is_thinking else self._kind_of(agent, spoken.text)
        self.tell_message(kind, agent, spoken.text, streamed=True)
        if not is_thinking:
            self._remember_answer(agent, spoken.text, streamed=True)

    def _remember_answer(self, agent: str, text: str, *, streamed: bool) -> None:
        if agent in self._answer_from:
            self.answer = events.Answer(agent, text, streamed)
