"""A run as the call of a tool: progress while the team works, then the result.

A failed run is a result with `isError`, which a model can read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiostream_server.errors import ShuttingDown
from aiostream_server.events import (
    Entry,
    Error,
    FinishReason,
    InputRequested,
    RunFinished,
    SpeechKind,
    TokenCount,
)
from aiostream_server.intake.json_text import encode
from aiostream_server.present.answer import AnswerOnly
from aiostream_server.present.parts import Parts
from aiostream_server.present.status import StatusLine
from aiostream_server.protocols.json_rpc import RpcId, around_result
from aiostream_server.protocols.mcp.tools import input_required, modern
from aiostream_server.runs.card import RunCard
from aiostream_server.sse.frames import data_frame

_FAILED: Final[Mapping[FinishReason, str]] = {
    "cancelled": "The call was cancelled.",
    "interrupted": f"{ShuttingDown()}",
    "error": "The team failed.",
}


@dataclass(frozen=True, slots=True)
class CallOptions:
    """`progress_token` is None where the client wants no progress; `is_modern` shapes the result. `elicits`: the client
    puts questions of the team to its user."""

    request_id: RpcId
    progress_token: str | int | None = None
    is_modern: bool = True
    team_name: str = ""
    elicits: bool = False


class CallResult:
    """`protocols.dialect.Collector`: the result of the call. Feed it every entry, in order."""

    def __init__(self, card: RunCard, options: CallOptions) -> None:
        self._card = card
        self._options = options
        self._parts = Parts()
        self._view = AnswerOnly()
        self._texts: list[str] = []
        self._asked: InputRequested | None = None
        self._error: Error | None = None
        self._finished = RunFinished("error", TokenCount(), 0.0)

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            event = entry.event
            self._texts += [shown.text for part in self._parts.of(event) for shown in self._view.show(part)]
            if isinstance(event, InputRequested):
                self._asked = event
            elif isinstance(event, Error):
                self._error = event
            elif isinstance(event, RunFinished):
                self._finished = event

    def body(self) -> bytes:
        return self.text().encode("ascii")

    def text(self) -> str:
        before, behind = around_result(self._options.request_id)
        return f"{before}{encode(self._result())}{behind}"

    def _result(self) -> dict[str, Any]:
        reason, usage = self._finished.reason, self._finished.usage
        answer, conversation = "".join(self._texts), self._card.conversation or ""
        if self._error is not None or reason in _FAILED:
            told = self._error.message if self._error is not None else _FAILED[reason]
            said = [answer] if answer else []
            return error_result("\n\n".join([*said, told]), is_modern=self._options.is_modern)
        waits = self._asked is not None and reason == "stop"
        if self._asked is not None and waits and self._options.elicits:
            return input_required(answer or self._asked.content, conversation, is_approval=self._asked.is_approval)
        note = (
            f"The team waits for your reply in the conversation {conversation}."
            if waits
            else f"Conversation: {conversation}"
        )
        result: dict[str, Any] = {
            "content": [_text(answer), {**_text(note), "annotations": {"audience": ["assistant"]}}],
            "structuredContent": {
                "answer": answer,
                "conversation": conversation,
                "waits_for_reply": waits,
                "finish_reason": reason,
                "usage": {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens},
            },
            "isError": False,
        }
        return modern(result, is_cacheable=False) if self._options.is_modern else result


class CallFrames:
    """`protocols.dialect.Frames`: progress, and the result at the end."""

    __slots__ = ("_count", "_options", "_result", "_status")

    def __init__(self, card: RunCard, options: CallOptions) -> None:
        self._options = options
        self._result = CallResult(card, options)
        self._status = StatusLine(options.team_name, card.team or "")
        self._count = 0

    def opening(self, *, at_end: bool) -> bytes:
        """A comment, so that the client has the headers before the team says anything."""
        return b": the team works\n\n"

    def encode(self, entries: Sequence[Entry]) -> bytes:
        self._result.add(entries)
        frames: list[bytes] = []
        for entry in entries:
            frames += self._progress(entry)
            if isinstance(entry.event, RunFinished):
                frames.append(data_frame(self._result.text()))
        return b"".join(frames)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> None:
        """Always None: tokens are part of the result, and nothing is written for them."""

    def _progress(self, entry: Entry) -> Iterator[bytes]:
        token = self._options.progress_token
        if token is None or isinstance(entry.event, RunFinished):
            return
        for status in self._status.show(entry.event, entry.timestamp):
            self._count += 1
            params = {"progressToken": token, "progress": self._count, "message": status.description}
            yield data_frame(encode({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


def error_result(message: str, *, is_modern: bool) -> dict[str, Any]:
    """What a model is told of a call that failed."""
    result: dict[str, Any] = {"content": [_text(message)], "isError": True}
    return modern(result, is_cacheable=False) if is_modern else result


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
