"""What a provider of model text must do: answer one request with a stream of deltas.

A provider knows one service's protocol and nothing else: no runs, no agents, no `<think>` tags.
`models.client.StreamingClient` makes an AutoGen model client of any provider.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec
from autogen_core.models import ChatCompletionTokenLogprob, FinishReasons, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from aiostream_server.errors import ServerError
from aiostream_server.observe.observer import CallWatch, Observer, current_observer


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """Text to append to the answer; never empty."""

    text: str


class ThoughtDelta(msgspec.Struct, frozen=True, gc=False):
    """Reasoning that the provider sends apart from the answer; never empty."""

    text: str


class CallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the tool call number `index`: its id and name once, its JSON arguments bit by bit."""

    index: int
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """Last delta of an answer. `usage` is None where the provider did not say it, `logprobs` likewise."""

    finish_reason: FinishReasons
    usage: RequestUsage | None = None
    logprobs: list[ChatCompletionTokenLogprob] | None = None


Delta: TypeAlias = TextDelta | ThoughtDelta | CallDelta | End
ToolChoice: TypeAlias = str | Literal["auto", "required", "none"]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call. `tool_choice` is auto, required, none, or a tool's name; `options` are sent as they are.

    While the caller waits for the next batch of deltas, a provider may give one to `shortcut` instead, from wherever it
    learns of it: no task has to wake for it. True: it was taken. False: it is to be yielded. Whatever it raises ends
    the stream. `retried` is to be told why the service is asked again: the status ("429"), or "connection".
    `headers` go with the request to a service that is asked by HTTP.
    """

    messages: Sequence[LLMMessage]
    tools: Sequence[ToolSchema] = ()
    tool_choice: ToolChoice = "auto"
    json_output: bool | type[BaseModel] = False
    options: Mapping[str, Any] = field(default_factory=dict)
    shortcut: Callable[[Sequence[Delta]], bool] | None = field(default=None, compare=False, repr=False)
    retried: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


class Provider(Protocol):
    """One configured model, shared by every run: must bear concurrent `stream` calls."""

    @property
    def model_info(self) -> ModelInfo: ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Sequence[Delta]]:
        """Yield what arrived and was not taken by the request's `shortcut`, batch by batch, `End` last.

        Closing the iterator (or cancelling the task that waits on it) closes the connection behind it.
        Raises `ModelFailed` or `ModelTimeout`, whose text is one line that a user can read. Cancelled while it waits
        to ask again, it names that failure as the cause: until then the call cost nothing.
        """
        ...

    async def close(self) -> None:
        """Release connections. Streams that still run are broken off."""
        ...


def unsupported(what: str, key: str) -> ValueError:
    """What a call asks for, and the key of `model_info` that says whether the model can do it."""
    return ValueError(f"the model does not support {what}; if it does, say model_info = {{ {key} = true }} of it")


@dataclass(frozen=True, slots=True)
class ModelLabel:
    """`name` is the configuration's, `model` the provider's, `provider` the kind. Without an `observer`, that of the
    run in which the call is made is told."""

    name: str
    model: str
    provider: str
    observer: Observer | None = None

    def call(self, agent: str | None) -> AbstractContextManager[CallWatch]:
        """Around one call. To be entered in the task that makes it."""
        observer = self.observer or current_observer.get()
        return observer.model_call(self.name, model=self.model, provider=self.provider, agent=agent)


UNNAMED: Final = ModelLabel("unnamed", "unnamed", "unnamed")


def code_of(error: BaseException) -> str:
    """How a failed call is told of."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.code if isinstance(error, ServerError) else ServerError.code
