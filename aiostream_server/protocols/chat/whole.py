"""A run as one completion: https://platform.openai.com/docs/api-reference/chat/object"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Literal, NotRequired, TypeAlias, TypedDict, assert_never

from msgspec import Meta

from aiostream_server.config.model import ReasoningField
from aiostream_server.errors import ShuttingDown, error_for
from aiostream_server.events import Answer, Entry, Error, FinishReason, RunFinished, TokenCount
from aiostream_server.present.shown import Channel, Presenter
from aiostream_server.protocols.chat.tool_calls import Calls, ToolCallBody, tool_call_of
from aiostream_server.protocols.json_schema import Natural
from aiostream_server.runs.card import RunCard

WireFinishReason: TypeAlias = Literal["stop", "length", "content_filter", "tool_calls"]


class UsageBody(TypedDict):
    prompt_tokens: Natural
    completion_tokens: Natural
    total_tokens: Natural


class CompletionMessage(TypedDict):
    role: Literal["assistant"]
    content: str | None
    reasoning_content: NotRequired[str]
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[ToolCallBody]]
    refusal: NotRequired[str]


class CompletionChoice(TypedDict):
    index: Literal[0]
    message: CompletionMessage
    finish_reason: WireFinishReason


class Completion(TypedDict):
    """The answer that is not streamed."""

    id: str
    object: Literal["chat.completion"]
    created: Natural
    model: str
    choices: Annotated[list[CompletionChoice], Meta(min_length=1, max_length=1)]
    usage: UsageBody


def completion_id(run_id: str) -> str:
    """The same for every replay of a run. Does not reveal the run's id: a completion's id is often shown or stored."""
    return f"chatcmpl-{sha256(run_id.encode()).hexdigest()[:32]}"


def wire_finish_reason(reason: FinishReason, called: Calls = None) -> WireFinishReason:
    """The finish reason of an answer without an error. OpenAI has none for a cancelled one.

    A call of a tool that the request named ends with `stop`.
    """
    match reason:
        case "stop" if called == "chosen":
            return "tool_calls"
        case "tool_calls":
            return "stop" if called == "named" else "tool_calls"
        case "length" | "content_filter":
            return reason
        case "refusal":  # OpenAI's own models stop, with `refusal` beside the text
            return "stop"
        case "stop" | "cancelled" | "error" | "interrupted":
            return "stop"
        case _:
            assert_never(reason)


def usage_body(count: TokenCount) -> UsageBody:
    return {
        "prompt_tokens": count.prompt_tokens,
        "completion_tokens": count.completion_tokens,
        "total_tokens": count.prompt_tokens + count.completion_tokens,
    }


class CompletionCollector:
    """`protocols.dialect.Collector`: the same text as a stream with this presenter would send."""

    def __init__(
        self,
        card: RunCard,
        presenter: Presenter,
        *,
        calls: Calls = None,
        reasoning_fields: Sequence[ReasoningField] = ("reasoning_content",),
    ) -> None:
        self._card = card
        self._reasoning_fields = reasoning_fields
        self._calls = calls
        self._called: list[ToolCallBody] = []
        self._presenter = presenter
        self._texts: dict[Channel, list[str]] = {"content": [], "reasoning": []}
        self._finished = RunFinished("error", TokenCount(), 0.0)
        self._answer = ""

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(error := entry.event, Error):
                raise error_for(error.code, error.message, retry_after_s=error.retry_after_s, at=entry.timestamp)
            if isinstance(entry.event, RunFinished):
                self._finished = entry.event
            elif call := tool_call_of(entry.event, completion_id(self._card.id), self._calls):
                self._called.append(call)
            elif isinstance(entry.event, Answer):
                self._answer = entry.event.content
            for shown in self._presenter.show(entry.event):
                self._texts[shown.channel].append(shown.text)

    def body(self) -> bytes:
        if self._finished.reason == "interrupted":  # half an answer must not look like a whole one
            raise ShuttingDown
        reason = wire_finish_reason(self._finished.reason, self._calls if self._called else None)
        completion: Completion = {
            "id": completion_id(self._card.id),
            "object": "chat.completion",
            "created": int(self._card.created_at),
            "model": self._card.model,
            "choices": [{"index": 0, "message": self._message(), "finish_reason": reason}],
            "usage": usage_body(self._finished.usage),
        }
        return json.dumps(completion).encode()

    def _message(self) -> CompletionMessage:
        message: CompletionMessage = {"role": "assistant", "content": "".join(self._texts["content"])}
        if reasoning := "".join(self._texts["reasoning"]):
            for name in self._reasoning_fields:
                message[name] = reasoning
        if self._called:
            message["content"] = message["content"] or None
            message["tool_calls"] = self._called
        if self._finished.reason == "refusal":
            message["refusal"] = self._answer
        return message
