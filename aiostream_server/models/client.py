"""AutoGen's model client over any provider: in a run, tokens bypass AutoGen's runtime.

Both `create` and `create_stream` stream from the provider. In a run (`token_sink.current_sink` is set) each batch of
deltas goes to the run's sink as it arrives, and AutoGen gets only the final `CreateResult`, with or without its agent's
`model_client_stream`. Outside a run this is an ordinary client: `create_stream` yields text chunks.

One task per call reads the provider's stream. A cancelled token, a cancelled caller or a closed generator cancels the
task, which closes the provider's connection at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from typing import Any, Final, Literal, Self

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from aiostream_server.models.answer import estimate_tokens
from aiostream_server.models.call_memory import CallMemory
from aiostream_server.models.listeners import QueueListener
from aiostream_server.models.model_call import ModelCall, SharedModel
from aiostream_server.models.provider import (
    UNNAMED,
    ModelLabel,
    ModelRequest,
    Provider,
    TextDelta,
    ToolChoice,
    unsupported,
)
from aiostream_server.models.token_sink import TokenSink, current_sink, current_speaker
from aiostream_server.models.tool_schemas import acceptable

_AnyTool = Tool | ToolSchema
_Choice = Tool | Literal["auto", "required", "none"]

_ASSUMED_CONTEXT_TOKENS: Final = 128_000  # for a model that is not in `families`


class StreamingClient(ChatCompletionClient):
    """Shared by every run and agent that uses this model; the state of a call is in its `ModelCall`."""

    def __init__(
        self,
        provider: Provider,
        *,
        label: ModelLabel = UNNAMED,
        calls: CallMemory | None = None,
    ) -> None:
        """`calls` serves calls outside a run; without it they are forgotten."""
        self._provider = provider
        self._model: Final = SharedModel(provider, label, calls)
        self._speaker: str | None = None  # as `speaking_as` sets it
        self._choice: ToolChoice = "auto"
        self._is_parallel = True
        self._refusals: Final[set[str]] = set()

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
        return await _in_this_task(self._call(request, current_sink.get()).make(), cancellation_token)

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
            yield await _in_this_task(self._call(request, sink).make(), cancellation_token)
            return
        batches = QueueListener()
        task = _start(self._call(request, None).make(batches), cancellation_token)
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
        total = self._model.total
        return RequestUsage(total.prompt_tokens, total.completion_tokens)

    actual_usage = total_usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[_AnyTool] = ()) -> int:
        """An estimate, see `answer.estimate_tokens`."""
        return estimate_tokens(messages, _schemas(tools))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[_AnyTool] = ()) -> int:
        """An estimate from the provider's context size."""
        context_tokens = getattr(self._provider, "context_tokens", _ASSUMED_CONTEXT_TOKENS)
        return int(context_tokens) - self.count_tokens(messages, tools=tools)

    @property
    def label(self) -> ModelLabel:
        return self._model.label

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

    def _call(self, request: ModelRequest, sink: TokenSink | None) -> ModelCall:
        most_calls = None if self._is_parallel else 1
        return ModelCall(self._model, request, sink, self.speaker_of(request.messages), most_calls=most_calls)


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
