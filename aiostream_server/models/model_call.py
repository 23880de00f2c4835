"""One call of a model: the provider's deltas become AutoGen's result, and the run hears them meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from autogen_core import FunctionCall
from autogen_core.models import (
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
)
from autogen_core.tools import ToolSchema
from msgspec import structs

from aiostream_server.errors import ModelFailed
from aiostream_server.events import TokenCount
from aiostream_server.models.answer import ModelAnswer, estimate_tokens
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.call_memory import CallMemory, current_calls
from aiostream_server.models.ending import why_broken
from aiostream_server.models.json_in_text import json_text
from aiostream_server.models.listeners import AnswerFeed, Listener, SinkListener
from aiostream_server.models.live_arguments import LiveArguments
from aiostream_server.models.provider import (
    Delta,
    ExtraFields,
    KeptAnswer,
    ModelLabel,
    ModelRequest,
    Provider,
    ToolChoice,
    code_of,
)
from aiostream_server.models.think import ThinkingHabit
from aiostream_server.models.token_sink import TokenSink
from aiostream_server.models.tool_names import NamesOnTheWire
from aiostream_server.observe.observer import CallWatch

_log = structlog.get_logger()


class SharedModel:
    """What all calls of a model have in common, of every run and agent. `total` adds up what they have cost."""

    def __init__(self, provider: Provider, label: ModelLabel, calls: CallMemory | None) -> None:
        """`calls` serves calls outside a run; without it they are forgotten."""
        self.provider: Final = provider
        self.label: Final = label
        self.origin: Final[str] = getattr(
            provider, "origin", ""
        )  # the service and the model that take extra fields back
        opens_thinking = bool(getattr(provider, "opens_thinking", False))
        self.thinking: Final = ThinkingHabit("</think>" if opens_thinking else "", is_configured=opens_thinking)
        self.total: Final = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._calls = calls

    @property
    def memory(self) -> CallMemory | None:
        """What the present run's calls leave for later ones."""
        return (current_calls.get() or self._calls) if self.origin else None


class ModelCall:
    """Made by the agent `speaker` of the run of `sink`; both are None outside a run.

    At most `most_calls` tool calls of the answer count: not every provider obeys `parallel_tool_calls`.
    """

    __slots__ = ("_answer", "_facts", "_is_heard", "_model", "_most_calls", "_request", "_sink", "_speaker")

    def __init__(
        self,
        model: SharedModel,
        request: ModelRequest,
        sink: TokenSink | None,
        speaker: str | None,
        *,
        most_calls: int | None,
    ) -> None:
        self._model = model
        self._sink = sink
        self._speaker = speaker
        self._most_calls = most_calls
        self._is_heard = sink is not None and not request.json_output and sink.hears(speaker)
        self._facts = CallFacts(model.label.model or model.label.name)
        self._request = self._remembering(request)
        self._answer = ModelAnswer(model.thinking.closing_tag)

    async def make(self, listener: Listener | None = None) -> CreateResult:
        """Raises `ModelFailed` or `ModelTimeout`. In a run the sink is the listener."""
        speaker, answer, facts, sink = self._speaker, self._answer, self._facts, self._sink
        names = NamesOnTheWire(self._request)
        if sink is not None:
            sink.calling(speaker, facts.model)
            live = LiveArguments(names.own_names, self._most_calls)
            listener = SinkListener(sink, speaker, live, is_shown=self._is_heard)
            if self._is_heard and (results := _last_tool_results(self._request.messages)):
                await sink.returned(speaker, results)
        options, choice = _wanted(self._request, speaker, sink if self._is_heard else None)
        with self._model.label.call(speaker) as call:
            progress = _Progress(facts, call, sink)
            hearing = AnswerFeed(answer, listener, progress.begin)
            self._request = structs.replace(
                self._request,
                options=options,
                tool_choice=choice,
                shortcut=hearing.take_now,
                retried=progress.retried,
                headers=call.headers,
            )
            try:
                calls = await self._answered(names, hearing)
            except BaseException as error:
                facts.error = code_of(error)
                spent = await self._spend_on_failure(error)
                call.failed(facts.error, TokenCount(spent.prompt_tokens, spent.completion_tokens))
                if isinstance(error, ModelFailed):
                    self._note_failure(error)
                raise
            usage = await self._spend()
            reason = answer.end.finish_reason
            told = answer.end.native or reason if reason == "unknown" else reason
            call.ended(TokenCount(usage.prompt_tokens, usage.completion_tokens), told)
        is_json = bool(self._request.json_output)
        result = answer.result(calls, usage, for_other_agents=self._is_heard, is_json=is_json)
        self._remember(result)
        return result

    async def _answered(self, names: NamesOnTheWire, hearing: AnswerFeed) -> list[FunctionCall]:
        """Read the whole answer and tell the run. Returns the calls in it that count, by the tools' own names."""
        answer, sent = self._answer, names.sent(self._request)
        # Providers' streams are async generators: `aclosing` closes the connection when this task is cancelled.
        stream = cast(AsyncGenerator[Sequence[Delta], None], self._model.provider.stream(sent))
        async with aclosing(stream) as batches:
            async for batch in batches:
                await hearing.take(batch)
        hearing.end()
        self._learn()
        calls = names.own(answer.calls(sent.tools or sent.offered))[: self._most_calls]
        if isinstance(sent.json_output, type) and not calls:
            _refuse_broken_json(answer)
        if self._sink is None or not self._is_heard:
            return calls
        calls = self._sink.allowed(self._speaker, calls)
        text, thought = answer.text, answer.thought
        await self._sink.said(self._speaker, text=text, thought=thought, calls=calls, end=answer.end)
        return calls

    def _remembering(self, request: ModelRequest) -> ModelRequest:
        """The request with what earlier calls left for it."""
        kept: Mapping[int, KeptAnswer] = {}
        offered: Sequence[ToolSchema] = ()
        if (memory := self._model.memory) is not None:
            kept = memory.recall(self._model.origin, self._speaker, request.messages)
            if request.tools:
                memory.offer(self._speaker, request.tools)
            else:
                offered = memory.offered(self._speaker)
        return structs.replace(request, kept=kept, offered=offered, facts=self._facts)

    def _remember(self, result: CreateResult) -> None:
        """Keep what goes back with this answer. Beside calls, AutoGen's message mixes text and reasoning."""
        model, answer = self._model, self._answer
        extra = answer.end.extra
        is_mixed = bool(answer.thought) and not isinstance(result.content, str)
        if (memory := model.memory) is not None and (extra is not None or is_mixed):
            kept = KeptAnswer(answer.text, extra or ExtraFields({}))
            memory.keep(model.origin, self._speaker, result.content, kept)

    def _learn(self) -> None:
        answer = self._answer
        if self._model.thinking.learn(answer.unopened, was_no_thought=answer.was_no_thought):
            name = self._model.label.name
            _log.info("model_begins_in_thought", model=name, closing_tag=answer.unopened or None)

    def _note_failure(self, error: ModelFailed) -> None:
        """The log has the provider's address, which the message to the user leaves out."""
        address = getattr(self._model.provider, "address", None)
        _log.warning("model_call_failed", model=self._model.label.name, address=address, code=error.code)
        if self._sink is not None:
            self._sink.failed(error)

    async def _spend_on_failure(self, error: BaseException) -> RequestUsage:
        """What a call that ended with `error` cost. A cancelled one that cost nothing is not told to the sink."""
        if _has_cost(self._answer, error):
            return await self._spend()
        nothing = RequestUsage(0, 0)
        if self._sink is not None and not isinstance(error, asyncio.CancelledError):
            await self._sink.spent(self._speaker, nothing, self._facts)
        return nothing

    async def _spend(self) -> RequestUsage:
        """What the call cost, added to the total and told to the sink: call it once, at the end."""
        request, usage, total = self._request, self._answer.end.usage, self._model.total
        if usage is None:
            usage = RequestUsage(estimate_tokens(request.messages, request.tools), self._answer.delta_count)
        total.prompt_tokens += usage.prompt_tokens
        total.completion_tokens += usage.completion_tokens
        if self._sink is not None:
            await self._sink.spent(self._speaker, usage, self._facts)
        return usage


@dataclass(frozen=True, slots=True)
class _Progress:
    """Reports how a call gets on."""

    facts: CallFacts
    call: CallWatch
    sink: TokenSink | None

    def begin(self) -> None:
        self.facts.begin_answer()
        self.call.first_token()

    def retried(self, reason: str, delay_s: float) -> None:
        self.call.retried(reason)
        if self.sink is not None and delay_s:
            self.sink.retrying(reason, delay_s)


def _wanted(request: ModelRequest, speaker: str | None, sink: TokenSink | None) -> tuple[Mapping[str, Any], ToolChoice]:
    """The options, with those of the run; and the choice of tools, which is none where the run allows no more calls."""
    if sink is None:
        return request.options, request.tool_choice
    choice = request.tool_choice if sink.may_call(speaker) else "none"
    return {**sink.options, **request.options}, choice


def _has_cost(answer: ModelAnswer, error: BaseException) -> bool:
    """Whether the provider worked for a call that ended with `error`: it reads a cancelled call's prompt."""
    if answer.delta_count or answer.end.usage is not None:
        return True
    return isinstance(error, asyncio.CancelledError) and not isinstance(error.__cause__, ModelFailed)


def _refuse_broken_json(answer: ModelAnswer) -> None:
    """Raises `ModelFailed` for JSON that was cut off or withheld: its reader could only say that it is not valid."""
    if (why := why_broken(answer.end.finish_reason)) is not None and json_text(answer.text) is None:
        raise ModelFailed(f"the model did not give the JSON that it was asked for: {why}")


def _last_tool_results(messages: Sequence[LLMMessage]) -> list[FunctionExecutionResult]:
    """The tool results at the end of the request."""
    results: list[FunctionExecutionResult] = []
    for message in reversed(messages):
        if not isinstance(message, FunctionExecutionResultMessage):
            break
        results[:0] = message.content
    return results
