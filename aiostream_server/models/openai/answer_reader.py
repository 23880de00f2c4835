"""Parses the body of an answer into deltas: server-sent events, or one JSON object if the provider ignored `stream`.

https://html.spec.whatwg.org/multipage/server-sent-events.html, except that each `data:` line is an event: no provider
splits its JSON into lines, and some omit the blank line between events. All events of one read are parsed together.
"""

from typing import Any, Final

import msgspec

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.chunks import (
    Choice,
    ProviderChunk,
    ProviderUsage,
    TokenLogprob,
    ToolCallNumbering,
    decode_chunk,
    finish_reason,
    request_usage,
    token_logprobs,
)
from aiostream_server.models.openai.extra_fields import ExtraFieldsReader, set_apart
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.provider import Delta, End, TextDelta, ThoughtDelta

_MAX_LINE_BYTES: Final = 16 * 1024**2
_EVENT: Final = b"data: "


class AnswerReader:
    """Reads one answer. `failure` is set behind the deltas that came before it."""

    __slots__ = (
        *("_calls", "_extra", "_failures", "_finish", "_logprobs", "_tail", "_usage"),
        *("done", "failure", "has_begun", "reported"),
    )

    def __init__(self, failures: Failures) -> None:
        self.done = False  # `End` was returned
        self.failure: ModelFailed | None = None  # ends the answer
        self.reported = b""  # the provider's own error, if that is the failure
        self.has_begun = False  # set by the caller with the first deltas
        self._failures = failures
        self._calls = ToolCallNumbering()
        self._extra = ExtraFieldsReader()
        self._tail = b""  # an incomplete line
        self._finish: str | None = None
        self._usage: ProviderUsage | None = None
        self._logprobs: list[TokenLogprob] = []

    @property
    def finished(self) -> bool:
        """Whether a finish reason came: a connection that is lost now loses nothing."""
        return self._finish is not None

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that `data` completes, with `End` at `[DONE]`."""
        if (text := self._lone_text(data)) is not None:
            return [TextDelta(text)]
        if self.failure is not None:
            return []
        data = self._tail + data
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        self._tail = data[cut:]
        deltas: list[Delta] = []
        try:
            self._read_lines(data[:cut], deltas)
        except ModelFailed as failure:
            self.failure = failure
        if len(self._tail) > _MAX_LINE_BYTES:
            self.failure = self._failures.said(f"sent a line of more than {_MAX_LINE_BYTES} bytes")
        return deltas

    def end(self) -> list[Delta]:
        """The remaining deltas at the end of the body; afterwards `done` or `failure` is set."""
        deltas = self.feed(b"\n")
        if self.finished and not self.done:
            self._finish_with_end(deltas)
        if not self.done and self.failure is None:
            self.failure = self._failures.broke_off()
        return deltas

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that was not streamed. Raises `ModelFailed`."""
        deltas: list[Delta] = []
        chunk = self._decode(body)
        self._read_chunk(chunk, deltas)
        if not chunk.choices:
            raise self._failures.said("sent an answer without choices")
        self._finish_with_end(deltas)
        return deltas

    def _lone_text(self, data: bytes) -> str | None:
        """The fast path of most reads: one whole event that holds only text. None for any other read."""
        if self._tail or self.done or self.failure is not None:
            return None
        if (
            not (data.startswith(_EVENT) and data.endswith(b"\n\n"))
            or data.find(b"\n") < len(data) - 2
            or b"\r" in data
        ):
            return None
        try:
            chunk = decode_chunk(data[len(_EVENT) :])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None  # `_read_lines` reports it
        choices = chunk.choices
        if chunk.usage is not None or chunk.error or chunk.object == "error" or not choices or len(choices) > 1:
            return None
        choice = choices[0]
        delta = choice.delta
        if delta is None or choice.index or choice.finish_reason or choice.logprobs is not None:
            return None
        if delta.reasoning_content or delta.reasoning or delta.tool_calls:
            return None
        if delta.reasoning_details or delta.thinking_blocks or delta.provider_specific_fields:
            return None
        return delta.content or None

    def _read_lines(self, lines: bytes, deltas: list[Delta]) -> None:
        for line in lines.splitlines():
            if line.startswith(b"data:"):
                self._read_event(line[5:].strip(), deltas)
            elif line.startswith(b"{"):  # a proxy's bare error
                self._read_event(line, deltas)
            elif line.startswith(b"error:") and not self.done:  # older llama.cpp: ggml-org/llama.cpp#16109
                raise self._failures.reported(_error(line[6:]))

    def _read_event(self, payload: bytes, deltas: list[Delta]) -> None:
        if self.done or not payload:
            return
        if payload == b"[DONE]":
            self._finish_with_end(deltas)
        else:
            self._read_chunk(self._decode(payload), deltas)

    def _decode(self, payload: bytes) -> ProviderChunk:
        try:
            try:
                return decode_chunk(payload)
            except msgspec.ValidationError:
                return msgspec.convert(set_apart(msgspec.json.decode(payload)), ProviderChunk)
        except msgspec.ValidationError as error:
            raise self._failures.said(f"sent something unexpected: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._failures.said("sent something that is not JSON") from error

    def _read_chunk(self, chunk: ProviderChunk, deltas: list[Delta]) -> None:
        if chunk.error or chunk.object == "error":
            error = chunk.error or {"message": chunk.message}
            self.reported = msgspec.json.encode(error)
            raise self._failures.reported(error)
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if not choice.index:  # the first choice
                self._read_choice(choice, deltas)

    def _read_choice(self, choice: Choice, deltas: list[Delta]) -> None:
        if choice.finish_reason:
            self._finish = choice.finish_reason
        if choice.logprobs is not None and choice.logprobs.content:
            self._logprobs += choice.logprobs.content
        delta = choice.delta or choice.message
        if delta is None:
            return
        self._extra.read(delta)
        if thought := delta.reasoning_content or delta.reasoning:
            deltas.append(ThoughtDelta(thought))
        if text := delta.content or delta.refusal:
            deltas.append(TextDelta(text))
        for piece in delta.tool_calls or ():
            call = self._calls.read(piece)
            deltas.append(call)
            if piece.extra:
                self._extra.read_call(call.index, piece.extra)

    def _finish_with_end(self, deltas: list[Delta]) -> None:
        usage, logprobs = request_usage(self._usage), token_logprobs(self._logprobs)
        deltas.append(End(finish_reason(self._finish), usage, logprobs, self._extra.fields()))
        self.done = True


def _error(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload.decode("utf-8", "replace")
