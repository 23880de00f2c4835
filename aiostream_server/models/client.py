"""AutoGen's model client over any provider: in a run, tokens bypass AutoGen's runtime.

Both `create` and `create_stream` stream from the provider. In a run (`token_sink.current_sink` is set) each batch of
deltas goes to the run's sink as it arrives, and AutoGen gets only the final `CreateResult`, with or without its agent's
`model_client_stream`. Outside a run this is an ordinary client: `create_stream` yields text chunks.

The caller's task reads the provider's stream; only where `create_stream` yields chunks, a task of its own does. A
cancelled token, a cancelled caller or a closed generator closes the provider's connection at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, cast

import structlog
from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from msgspec import structs
from pydantic import BaseModel

from aiostream_server.errors import ModelFailed
from aiostream_server.events import TokenCount
from aiostream_server.models.answer import ModelAnswer, estimate_tokens
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.call_memory import CallMemory, current_calls
from aiostream_server.models.ending import why_broken
from aiostream_server.models.json_in_text import json_text
from aiostream_server.models.listeners import AnswerFeed, Listener, QueueListener, SinkListener
from aiostream_server.models.live_arguments import LiveArguments
from aiostream_server.models.provider import (
    UNNAMED,
    Delta,
    ExtraFields,
    KeptAnswer,
    ModelLabel,
    ModelRequest,
    Provider,
    TextDelta,
    ToolChoice,
    code_of,
    unsupported,
)
from aiostream_server.models.think import ThinkingHabit
from aiostream_server.models.token_sink import TokenSink, current_sink, current_speaker
from aiostream_server.models.tool_names import NamesOnTheWire
from aiostream_server.models.tool_schemas import acceptable
from aiostream_server.observe.observer import CallWatch

_AnyTool = Tool | ToolSchema
_Choice = Tool | Literal["auto", "required", "none"]

_log = structlog.get_logger()
_ASSUMED_CONTEXT_TOKENS: Final = 128_000  # for a model that is not in `families`


class StreamingClient(ChatCompletionClient):
    """Shared by every run and agent that uses this model; the state of a call is local to the call."""

    def __init__(
        self,
        provider: Provider,
        *,
        speaker: str | None = None,
        label: ModelLabel = UNNAMED,
        calls: CallMemory | None = None,
    ) -> None:
        """`speaker` is set by `speaking_as`. `calls` serves calls outside a run; without it they are forgotten."""
        self._provider = provider
        self._speaker = speaker
        self._choice: ToolChoice = "auto"
        self._is_parallel = True
        self.label: Final = label
        self._total = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._calls = calls
        self._refusals: Final[set[str]] = set()
        opens_thinking = bool(getattr(provider, "opens_thinking", False))
        self._thinking = ThinkingHabit("</think>" if opens_thinking else "", is_configured=opens_thinking)

    def speaking_as(self, agent: str) -> Self:
        """The same model for one agent inside another agent's tool: AutoGen does not tell its name there."""
        client = self._like()
        client._speaker = agent  # noqa: SLF001 - its own class
        return client

    def calling_tools(self, choice: ToolChoice, *, is_parallel: bool) -> Self:
        """The same model for an agent that leaves the choice of its tools to this one. `is_parallel`: one answer may
        call several."""
        client = self._like()
        client._choice, client._is_parallel = choice, is_parallel  # noqa: SLF001 - its own class
        return client

    def _like(self) -> Self:
        """As `copy`, which takes eight times as long."""
        client = object.__new__(type(self))
        vars(client).update(vars(self))
        return client

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[_AnyTool] = (),
        tool_choice: _Choice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The whole answer. Raises `ModelFailed` or `ModelTimeout`, and `ValueError` for a missing capability."""
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args)
        return await _in_this_task(self._answer(request, current_sink.get()), cancellation_token)

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[_AnyTool] = (),
        tool_choice: _Choice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Text chunks, then the `CreateResult`; in a run only the latter. Raises what `create` raises."""
        request = self._request(messages, tools, tool_choice, json_output, extra_create_args)
        if (sink := current_sink.get()) is not None:
            yield await _in_this_task(self._answer(request, sink), cancellation_token)
            return
        batches = QueueListener()
        task = _start(self._answer(request, None, batches), cancellation_token)
        task.add_done_callback(lambda _: batches.close())
        try:
            async for batch in batches:
                for delta in batch:
                    if isinstance(delta, TextDelta):
                        yield delta.text
            yield await task
        finally:
            await _end(task)

    async def close(self) -> None:
        await self._provider.close()

    def total_usage(self) -> RequestUsage:
        return RequestUsage(self._total.prompt_tokens, self._total.completion_tokens)

    actual_usage = total_usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[_AnyTool] = ()) -> int:
        """An estimate, see `answer.estimate_tokens`."""
        return estimate_tokens(messages, _schemas(tools))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[_AnyTool] = ()) -> int:
        """An estimate from the provider's context size."""
        context_tokens = getattr(self._provider, "context_tokens", _ASSUMED_CONTEXT_TOKENS)
        return int(context_tokens) - self.count_tokens(messages, tools=tools)

    @property
    def takes_schemas(self) -> bool:
        """Whether the option `response_format` takes a JSON schema, in OpenAI's form."""
        return bool(getattr(self._provider, "takes_schemas", False)) and not self._refusals

    def refuses_schemas(self) -> None:
        """Remember, for all who share this model, that its provider said so."""
        self._refusals.add("schemas")

    def speaker_of(self, messages: Sequence[LLMMessage]) -> str | None:
        """The agent that a call with these messages speaks as. None: outside a team."""
        return self._speaker or current_speaker()

    @property
    def capabilities(self) -> ModelCapabilities:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return self._provider.model_info

    def _request(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[_AnyTool],
        tool_choice: _Choice,
        json_output: bool | type[BaseModel] | None,
        options: Mapping[str, Any] | None,
    ) -> ModelRequest:
        if json_output is True and not self.model_info["json_output"]:
            raise unsupported("JSON output", "json_output")
        if isinstance(json_output, type) and not self.model_info["structured_output"]:
            raise unsupported("structured output", "structured_output")
        schemas, options = _schemas(tools), options or {}
        choice = _chosen(tool_choice, schemas)
        if schemas and choice == "auto":
            is_offered = self._choice == "required" or any(schema["name"] == self._choice for schema in schemas)
            choice = self._choice if is_offered else "auto"
        if schemas and not self._is_parallel:
            options = {**options, "parallel_tool_calls": False}
        return ModelRequest(messages, schemas, choice, json_output or False, options)

    async def _answer(
        self, request: ModelRequest, sink: TokenSink | None, listener: Listener | None = None
    ) -> CreateResult:
        """One call; in a run the `sink` is the listener."""
        speaker = self.speaker_of(request.messages)
        is_heard = sink is not None and not request.json_output and sink.hears(speaker)
        facts = CallFacts(self.label.model or self.label.name)
        kept, offered = self._remembered(request, speaker)
        request = structs.replace(request, kept=kept, offered=offered, facts=facts)
        names = NamesOnTheWire(request)
        if sink is not None:
            sink.calling(speaker, facts.model)
            live = LiveArguments(names.own_names, self._most_calls)
            listener = SinkListener(sink, speaker, live, is_shown=is_heard)
            if is_heard and (results := _last_tool_results(request.messages)):
                await sink.returned(speaker, results)
        options, choice = _wanted(request, speaker, sink if is_heard else None)
        answer = ModelAnswer(self._thinking.closing_tag)
        with self.label.call(speaker) as call:
            progress = _Progress(facts, call, sink)
            hearing = AnswerFeed(answer, listener, progress.begin)
            request = structs.replace(
                request,
                options=options,
                tool_choice=choice,
                shortcut=hearing.take_now,
                retried=progress.retried,
                headers=call.headers,
            )
            try:
                sent = names.sent(request)
                await self._read(sent, hearing)
                self._learn(answer)
                calls = names.own(answer.calls(sent.tools or sent.offered))[: self._most_calls]
                if isinstance(request.json_output, type) and not calls:
                    _refuse_broken_json(answer)
                if sink is not None and is_heard:
                    calls = sink.allowed(speaker, calls)
                    text, thought = answer.text, answer.thought
                    await sink.said(speaker, text=text, thought=thought, calls=calls, end=answer.end)
            except BaseException as error:
                facts.error = code_of(error)
                spent = await self._spend_on_failure(error, request, answer, sink, speaker)
                call.failed(facts.error, TokenCount(spent.prompt_tokens, spent.completion_tokens))
                if isinstance(error, ModelFailed):
                    self._note_failure(error, sink)
                raise
            usage = await self._spend(request, answer, sink, speaker)
            reason = answer.end.finish_reason
            told = answer.end.native or reason if reason == "unknown" else reason
            call.ended(TokenCount(usage.prompt_tokens, usage.completion_tokens), told)
        result = answer.result(calls, usage, for_other_agents=is_heard, is_json=bool(request.json_output))
        self._remember(result, answer, speaker)
        return result

    def _learn(self, answer: ModelAnswer) -> None:
        if self._thinking.learn(answer.unopened, was_no_thought=answer.was_no_thought):
            _log.info("model_begins_in_thought", model=self.label.name, closing_tag=answer.unopened or None)

    def _remembered(
        self, request: ModelRequest, speaker: str | None
    ) -> tuple[Mapping[int, KeptAnswer], Sequence[ToolSchema]]:
        """What earlier calls left for the request: its `kept` and `offered`."""
        memory = self._memory
        if memory is None:
            return {}, ()
        kept = memory.recall(self._origin, speaker, request.messages)
        if request.tools:
            memory.offer(speaker, request.tools)
            return kept, ()
        return kept, memory.offered(speaker)

    def _remember(self, result: CreateResult, answer: ModelAnswer, speaker: str | None) -> None:
        """Keep what goes back with this answer. Beside calls, AutoGen's message mixes text and reasoning."""
        extra = answer.end.extra
        is_mixed = bool(answer.thought) and not isinstance(result.content, str)
        if (memory := self._memory) is not None and (extra is not None or is_mixed):
            memory.keep(self._origin, speaker, result.content, KeptAnswer(answer.text, extra or ExtraFields({})))

    @property
    def _most_calls(self) -> int | None:
        """Of one answer. Not every provider obeys `parallel_tool_calls`."""
        return None if self._is_parallel else 1

    @property
    def _memory(self) -> CallMemory | None:
        return (current_calls.get() or self._calls) if self._origin else None

    @property
    def _origin(self) -> str:
        """The service and the model, where its extra fields can go back."""
        return getattr(self._provider, "origin", "")

    async def _read(self, request: ModelRequest, hearing: AnswerFeed) -> None:
        # Providers' streams are async generators: `aclosing` closes the connection when this task is cancelled.
        stream = cast(AsyncGenerator[Sequence[Delta], None], self._provider.stream(request))
        async with aclosing(stream) as batches:
            async for batch in batches:
                await hearing.take(batch)
        hearing.end()

    def _note_failure(self, error: ModelFailed, sink: TokenSink | None) -> None:
        """The log has the provider's address, which the message to the user leaves out."""
        address = getattr(self._provider, "address", None)
        _log.warning("model_call_failed", model=self.label.name, address=address, code=error.code)
        if sink is not None:
            sink.failed(error)

    async def _spend_on_failure(
        self,
        error: BaseException,
        request: ModelRequest,
        answer: ModelAnswer,
        sink: TokenSink | None,
        speaker: str | None,
    ) -> RequestUsage:
        """What a call that ended with `error` cost. A cancelled one that cost nothing is not told to the sink."""
        if _has_cost(answer, error):
            return await self._spend(request, answer, sink, speaker)
        nothing = RequestUsage(0, 0)
        if sink is not None and not isinstance(error, asyncio.CancelledError):
            await sink.spent(speaker, nothing, request.facts)
        return nothing

    async def _spend(
        self, request: ModelRequest, answer: ModelAnswer, sink: TokenSink | None, speaker: str | None
    ) -> RequestUsage:
        """What the call cost, added to the total and told to the sink: call it once, at the end."""
        usage = answer.end.usage
        if usage is None:
            usage = RequestUsage(estimate_tokens(request.messages, request.tools), answer.delta_count)
        self._total.prompt_tokens += usage.prompt_tokens
        self._total.completion_tokens += usage.completion_tokens
        if sink is not None:
            await sink.spent(speaker, usage, request.facts)
        return usage


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


def _refuse_broken_json(answer: ModelAnswer) -> None:
    """Raises `ModelFailed` for JSON that was cut off or withheld: its reader could only say that it is not valid."""
    if (why := why_broken(answer.end.finish_reason)) is not None and json_text(answer.text) is None:
        raise ModelFailed(f"the model did not give the JSON that it was asked for: {why}")


class _Link:
    """What a token cancels: the task that waits for the answer, as long as it does."""

    __slots__ = ("is_cancelled", "task")

    def __init__(self) -> None:
        self.is_cancelled = False
        self.task: asyncio.Task[Any] | None = None

    def cancel(self) -> None:
        self.is_cancelled = True
        if self.task is not None:
            self.task.cancel()

    def end(self) -> None:
        """The call has ended. If the token cancelled it, its caller goes on: only the call was to be cancelled."""
        task, self.task = self.task, None
        if self.is_cancelled and task is not None:
            task.uncancel()


async def _in_this_task(
    answer: Coroutine[None, None, CreateResult], cancellation_token: CancellationToken | None
) -> CreateResult:
    """As to await a task that is linked to the token, without the task: each takes a context and 50 us."""
    if cancellation_token is None:
        return await answer
    link = _Link()
    cancellation_token.add_callback(link.cancel)
    if link.is_cancelled:
        answer.close()
        raise asyncio.CancelledError
    link.task = asyncio.current_task()  # no local variable: an error's traceback would hold the task, and it the error
    try:
        return await answer
    finally:
        link.end()


def _start(
    answer: Coroutine[None, None, CreateResult], cancellation_token: CancellationToken | None
) -> asyncio.Task[CreateResult]:
    task = asyncio.create_task(answer, name="model-call")
    if cancellation_token is not None:
        cancellation_token.link_future(task)
    return task


async def _end(task: asyncio.Task[CreateResult]) -> None:
    """Cancel the call if it still runs, and wait for its end."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # marks it as retrieved, else asyncio logs it


def _schemas(tools: Sequence[_AnyTool]) -> list[ToolSchema]:
    # isinstance(tool, Tool) would compute every property of the tool, its JSON schema included.
    return [acceptable(tool if isinstance(tool, dict) else tool.schema) for tool in tools]


def _chosen(choice: _Choice, schemas: Sequence[ToolSchema]) -> ToolChoice:
    if isinstance(choice, str):
        return choice
    if all(schema["name"] != choice.name for schema in schemas):
        raise ValueError(f"tool_choice names {choice.name!r}, which is not among the tools of the call")
    return choice.name


def _last_tool_results(messages: Sequence[LLMMessage]) -> list[FunctionExecutionResult]:
    """The tool results at the end of the request."""
    results: list[FunctionExecutionResult] = []
    for message in reversed(messages):
        if not isinstance(message, FunctionExecutionResultMessage):
            break
        results[:0] = message.content
    return results
