"""A run as one completion: https://platform.openai.com/docs/api-reference/chat/object"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, TypeAlias, assert_never

from aiostream_server.errors import ShuttingDown, error_for
from aiostream_server.events import Entry, Error, FinishReason, RunFinished, TokenCount
from aiostream_server.present.shown import Channel, Presenter
from aiostream_server.protocols.dialect import RunCard

WireFinishReason: TypeAlias = Literal["stop", "length"]


def completion_id(run_id: str) -> str:
    """The same for every replay of a run. Does not reveal the run's id: a completion's id is often shown or stored."""
    return f"chatcmpl-{sha256(run_id.encode()).hexdigest()[:32]}"


def wire_finish_reason(reason: FinishReason) -> WireFinishReason:
    """OpenAI has no reason for a cancelled, failed or interrupted answer; an error frame reports a failure."""
    match reason:
        case "length":
            return "length"
        case "stop" | "cancelled" | "error" | "interrupted":
            return "stop"
        case _:
            assert_never(reason)


def usage_body(count: TokenCount) -> dict[str, int]:
    return {
        "prompt_tokens": count.prompt_tokens,
        "completion_tokens": count.completion_tokens,
        "total_tokens": count.prompt_tokens + count.completion_tokens,
    }


class Completion:
    """The same text as a stream with this presenter would send."""

    def __init__(self, card: RunCard, presenter: Presenter) -> None:
        self._card = card
        self._presenter = presenter
        self._texts: dict[Channel, list[str]] = {"content": [], "reasoning": []}
        self._finished = RunFinished("error", TokenCount(), 0.0)

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.event, Error):
                raise error_for(entry.event.code, entry.event.message)
            if isinstance(entry.event, RunFinished):
                self._finished = entry.event
            for shown in self._presenter.show(entry.event):
                self._texts[shown.channel].append(shown.text)

    def body(self) -> bytes:
        if self._finished.reason == "interrupted":  # half an answer must not look like a whole one
            raise ShuttingDown("the server is shutting down; ask again in a moment")
        choice = {"index": 0, "message": self._message(), "finish_reason": wire_finish_reason(self._finished.reason)}
        completion = {
            "id": completion_id(self._card.id),
            "object": "chat.completion",
            "created": int(self._card.created_at),
            "model": self._card.model,
            "choices": [choice],
            "usage": usage_body(self._finished.usage),
        }
        return json.dumps(completion).encode()

    def _message(self) -> dict[str, str]:
        message = {"role": "assistant", "content": "".join(self._texts["content"])}
        if reasoning := "".join(self._texts["reasoning"]):
            message["reasoning_content"] = reasoning
        return message
