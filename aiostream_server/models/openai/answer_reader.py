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
    ProviderDelta,
    ProviderUsage,
    TokenLogprob,
    ToolCallNumbering,
    decode_chunk,
    request_usage,
    token_logprobs,
)
from aiostream_server.models.openai.endings import ending, is_said
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.provider import Delta, End, TextDelta, ThoughtDelta

_MAX_LINE_BYTES: Final = 16 * 1024**2
_EVENT: Final = b"data: "


class AnswerReader:
    """Reads one answer. `failure` is set behind the deltas that came before it."""

    __slots__ = (
        "_calls",
        "_failures",
        "_finish",
        "_logprobs",
        "_native_finish",
        "_refused",
        "_tail",
        "_usage",
        "done",
        "failure",
    )

    def __init__(self, failures: Failures) -> None:
        self.done = False  # `End` was returned
        self.failure: ModelFailed | None = None  # ends the answer
        self._failures = failures
        self._calls = ToolCallNumbering()
        self._tail = b""  # an incomplete line
        self._finish: str | None = None
        self._native_finish: str | None = None
        self._refused = False
        self._usage: ProviderUsage | None = None
        self._logprobs: list[TokenLogprob] = []

    @property
    def finished(self) -> bool:
        """Whether a finish reason came: a connection that is lost now loses nothing."""
        return self._finish is not None or self._native_finish is not None

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
        if self.finished and not self.done and self.failure is None:
            try:
                self._finish_with_end(deltas)
            except ModelFailed as failure:
                self.failure = failure
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
        if delta is None or choice.index or choice.finish_reason or choice.native_finish_reason or choice.error:
            return None
        if choice.logprobs is not None:
            return None
        if delta.reasoning_content or delta.reasoning or delta.tool_calls:
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
            return decode_chunk(payload)
        except msgspec.ValidationError as error:
            raise self._failures.said(f"sent something unexpected: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._failures.said("sent something that is not JSON") from error

    def _read_chunk(self, chunk: ProviderChunk, deltas: list[Delta]) -> None:
        if chunk.error or chunk.object == "error":
            raise self._failures.reported(chunk.error or {"message": chunk.message})
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if not choice.index:  # the first choice
                self._read_choice(choice, deltas)

    def _read_choice(self, choice: Choice, deltas: list[Delta]) -> None:
        if is_said(choice.finish_reason):
            self._finish = choice.finish_reason
        if is_said(choice.native_finish_reason):
            self._native_finish = choice.native_finish_reason
        if choice.logprobs is not None and choice.logprobs.content:
            self._logprobs += choice.logprobs.content
        if (delta := choice.delta or choice.message) is not None:
            self._read_delta(delta, deltas)
        if choice.error:
            raise self._failures.reported(choice.error)

    def _read_delta(self, delta: ProviderDelta, deltas: list[Delta]) -> None:
        if thought := delta.reasoning_content or delta.reasoning:
            deltas.append(ThoughtDelta(thought))
        if text := delta.content or delta.refusal:
            self._refused = self._refused or not delta.content
            deltas.append(TextDelta(text))
        if delta.tool_calls:
            deltas.extend(map(self._calls.read, delta.tool_calls))

    def _finish_with_end(self, deltas: list[Delta]) -> None:
        reason, native = ending(self._finish, self._native_finish, refused=self._refused)
        if reason is None:
            raise self._failures.ended_with(native)
        usage, logprobs = request_usage(self._usage), token_logprobs(self._logprobs)
        deltas.append(End(reason, usage, logprobs, native))
        self.done = True


def _error(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload.decode("utf-8", "replace")
