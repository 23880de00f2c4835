"""The provider protocol: answers one request with a stream of deltas.

A provider knows one service's protocol: no runs, no agents, no `<think>` tags. `models.client.StreamingClient` makes an
AutoGen model client of any provider.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec
from autogen_core.models import ChatCompletionTokenLogprob, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import ToolSchema
from pydantic import BaseModel

from aiostream_server.errors import ServerError
from aiostream_server.models.call_facts import CallFacts
from aiostream_server.models.ending import EndReason
from aiostream_server.observe.observer import CallWatch, Observer, current_observer


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """Text to append to the answer; never empty."""

    text: str


class ThoughtDelta(msgspec.Struct, frozen=True, gc=False):
    """Reasoning that the provider sends in a field of its own; never empty."""

    text: str


class CallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of tool call number `index`: its id and name once, its JSON arguments in pieces."""

    index: int
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class ExtraFields:
    """What a provider sent beside the text and the calls of an answer, and wants back with them: JSON.

    `calls` is keyed by the number of the call. Its reasoning is among the fields of the message.
    """

    message: Mapping[str, Any]
    calls: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is known of an earlier answer. `text` stood beside its calls, where AutoGen's message has reasoning, too."""

    text: str
    extra: ExtraFields


@dataclass(frozen=True, slots=True)
class End:
    """Last delta of an answer; `usage`, `logprobs` and `extra` are None if the provider reports none.

    `native` is the provider's own word for the reason where it says more than `finish_reason`, such as `SAFETY`.
    """

    finish_reason: EndReason
    usage: RequestUsage | None = None
    logprobs: list[ChatCompletionTokenLogprob] | None = None
    extra: ExtraFields | None = field(default=None, compare=False)
    native: str = ""


Delta: TypeAlias = TextDelta | ThoughtDelta | CallDelta | End
ToolChoice: TypeAlias = str | Literal["auto", "required", "none"]


class ModelRequest(msgspec.Struct, frozen=True):
    """One model call. `tool_choice` is auto, required, none, or a tool's name; `options` are sent as they are.

    A provider may call `shortcut` with a batch instead of yielding it, from any callback, so that no task wakes for a
    token. False: the batch was not taken and must be yielded. An exception of `shortcut` ends the stream. `retried` is
    called before each retry with the status ("429") or "connection", and the seconds until then. `headers` are HTTP
    request headers. In `facts` a provider notes the sizes of what it sends and reads, if it knows them.

    `kept` is what goes back with earlier answers, by the index of the message. `offered` are the tools of earlier
    requests, where this one has none.

    Each call makes three of them, and a dataclass with so many fields takes ten times as long.
    """

    messages: Sequence[LLMMessage]
    tools: Sequence[ToolSchema] = ()
    tool_choice: ToolChoice = "auto"
    json_output: bool | type[BaseModel] = False
    options: Mapping[str, Any] = {}
    shortcut: Callable[[Sequence[Delta]], bool] | None = None
    retried: Callable[[str, float], None] | None = None
    headers: Mapping[str, str] = {}
    facts: CallFacts = msgspec.field(default_factory=CallFacts)
    kept: Mapping[int, KeptAnswer] = {}
    offered: Sequence[ToolSchema] = ()

    def without_extra_fields(self) -> "ModelRequest":
        """The same request, where earlier answers are sent back as text and calls alone."""
        kept = {index: KeptAnswer(answer.text, ExtraFields({})) for index, answer in self.kept.items()}
        return msgspec.structs.replace(self, kept=kept)


class Provider(Protocol):
    """One configured model, shared by every run: `stream` calls overlap."""

    @property
    def model_info(self) -> ModelInfo: ...

    def stream(self, request: ModelRequest) -> AsyncIterator[Sequence[Delta]]:
        """Yield each batch that the request's `shortcut` did not take, `End` last.

        Closing the iterator, or cancelling the task that waits on it, closes the connection. Raises `ModelFailed` or
        `ModelTimeout` with one line for the user. A cancellation during a wait before a retry has that failure as its
        cause: the call has cost nothing.
        """
        ...

    async def close(self) -> None:
        """Close all connections, those of running streams included."""
        ...


def unsupported(what: str, key: str) -> ValueError:
    """The error for a missing capability; `key` is its name in `model_info`."""
    return ValueError(f"the model does not support {what}; if it does, say model_info = {{ {key} = true }} of it")


@dataclass(frozen=True, slots=True)
class ModelLabel:
    """Labels a model's calls for an observer: the configuration's `name`, the provider's `model`, the kind of provider.

    Without an `observer` of its own, the calls are reported to that of the current run.
    """

    name: str
    model: str
    provider: str
    observer: Observer | None = None

    def call(self, agent: str | None) -> AbstractContextManager[CallWatch]:
        """Watches one call: enter it in the call's own task."""
        observer = self.observer or current_observer.get()
        return observer.model_call(self.name, model=self.model, provider=self.provider, agent=agent)


UNNAMED: Final = ModelLabel("unnamed", "unnamed", "unnamed")


def code_of(error: BaseException) -> str:
    """The error code that an observer counts a failed call under."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.code if isinstance(error, ServerError) else ServerError.code
