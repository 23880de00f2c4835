"""Reads the body of an answer as deltas: events, lines of JSON, or one JSON document if the provider ignored `stream`.

All events of one read are read together, but a large read is shared out: the event loop turns in between.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.body_events import BodyEvents
from aiostream_server.models.openai.call_numbering import ToolCallNumbering
from aiostream_server.models.openai.chunks import (
    Choice,
    ProviderChunk,
    ProviderDelta,
    ProviderUsage,
    TokenLogprob,
    ToolCallPiece,
    decode_chunk,
    request_usage,
    token_logprobs,
)
from aiostream_server.models.openai.endings import ending, is_said
from aiostream_server.models.openai.extra_fields import ExtraFieldsReader, set_apart
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.openai.odd_chunks import OddChunkReader, json_values
from aiostream_server.models.provider import Delta, End, TextDelta, ThoughtDelta

SHARE_BYTES: Final = 16 * 1024  # of tiny events, reading so much blocks the event loop for 2 ms
_MAX_SILENT_BYTES: Final = 64 * 1024**2  # without a word or a call: keep-alives, comments, fields that are not read
_EVENT: Final = b"data: "
_LONGEST_DONE: Final = 16  # bytes
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class AnswerReader:
    """Reads one answer. `failure` is set behind the deltas that came before it."""

    __slots__ = (
        "_calls",
        "_deltas",
        "_events",
        "_extra",
        "_failures",
        "_finish",
        "_has_choices",
        "_has_message",
        "_has_spoken",
        "_is_plain",
        "_logprobs",
        "_native_finish",
        "_no_json",
        "_odd",
        "_refused",
        "_silent_bytes",
        "_unread",
        "_usage",
        "done",
        "failure",
        "reported",
    )

    def __init__(self, failures: Failures) -> None:
        self.done = False  # `End` was returned
        self.failure: ModelFailed | None = None  # ends the answer
        self.reported: Any = None  # the provider's own error, as JSON, where that is the failure
        self._failures = failures
        self._events = BodyEvents(self._read_event, self._read_error, failures.said)
        self._calls = ToolCallNumbering(failures.said)
        self._extra = ExtraFieldsReader()
        self._odd: OddChunkReader | None = None
        self._is_plain = False  # the next read may take the fast path
        self._unread = b""  # the rest of a large read
        self._silent_bytes = 0
        self._deltas: list[Delta] = []  # of the current read
        self._has_choices = False
        self._has_message = False  # a whole one
        self._has_spoken = False  # in deltas
        self._no_json = b""  # the last payload that was none
        self._finish: str | None = None
        self._native_finish: str | None = None
        self._refused = False
        self._usage: ProviderUsage | None = None
        self._logprobs: list[TokenLogprob] = []

    @property
    def finished(self) -> bool:
        """Whether a finish reason came: a connection that is lost now loses nothing."""
        return self._finish is not None or self._native_finish is not None

    @property
    def has_begun(self) -> bool:
        """Whether something was said or called."""
        return self._has_spoken or self._has_message

    @property
    def is_behind(self) -> bool:
        """Whether a part of the last read waits: feed no bytes in a later turn of the event loop."""
        return bool(self._unread) and not self.done and self.failure is None

    @property
    def odd_fields(self) -> tuple[str, ...]:
        """The fields that did not fit: read leniently, or counted as absent."""
        return () if self._odd is None else tuple(self._odd.odd)

    def feed(self, data: bytes) -> list[Delta]:
        """The deltas that `data` completes, with `End` at `[DONE]`; of a large read, those of its first part."""
        if self._is_plain and (text := _lone_text(data)) is not None:
            self._has_spoken = True
            return [TextDelta(text)]
        if self.done or self.failure is not None:
            return []
        data = self._unread + data
        self._unread = data[SHARE_BYTES:]
        return self._read(data[:SHARE_BYTES])

    def end(self) -> list[Delta]:
        """The remaining deltas at the end of the body; afterwards `done` or `failure` is set."""
        deltas: list[Delta] = []
        while self.is_behind:
            deltas += self.feed(b"")
        if not self.done and self.failure is None:
            deltas += self._read(None)
        if self.done or self.failure is not None:
            return deltas
        if self.finished or (self._events.is_json and self._has_message):
            try:
                self._finish_with_end(deltas)
            except ModelFailed as failure:
                self.failure = failure
        elif self._events.is_json and not self._has_choices:
            self.failure = self._failures.said("sent an answer without choices")
        elif self._no_json:
            self.failure = self._report(self._no_json.decode("utf-8", "replace"))
        else:
            self.failure = self._failures.broke_off()
        return deltas

    def _read(self, data: bytes | None) -> list[Delta]:
        """The deltas of some bytes, or, with None, of what the end of the body completes."""
        deltas: list[Delta] = []
        self._deltas = deltas
        try:
            if data is None:
                self._events.end()
            else:
                self._events.feed(data)
        except ModelFailed as failure:
            self.failure = failure
        if not deltas and data is not None:
            self._silent_bytes += len(data)
            if self._silent_bytes > _MAX_SILENT_BYTES and self.failure is None:
                self.failure = self._failures.said(f"sent more than {_MAX_SILENT_BYTES // 1024**2} MiB without a word")
        goes_on = not (self.done or self._unread or self.failure is not None)
        self._is_plain = goes_on and self._events.is_between
        return deltas

    def _read_event(self, payload: bytes) -> bool:
        """False if the payload may be the beginning of JSON."""
        if self.done:
            return True
        if payload == b"[DONE]":
            self._finish_with_end(self._deltas)
            return True
        try:
            chunk = decode_chunk(payload)
        except msgspec.ValidationError:
            return self._read_again(payload)
        except _UNREADABLE:
            return self._read_oddly(payload)
        self._read_chunk(chunk)
        return True

    def _read_again(self, payload: bytes) -> bool:
        """Read JSON with more fields than are known, or with odd ones."""
        try:
            chunk = msgspec.convert(set_apart(msgspec.json.decode(payload)), ProviderChunk)
        except _UNREADABLE:
            return self._read_oddly(payload)
        self._read_chunk(chunk)
        return True

    def _read_oddly(self, payload: bytes) -> bool:
        if len(payload) < _LONGEST_DONE and payload.strip(b"\"'[]<>. ").upper() == b"DONE":
            self._finish_with_end(self._deltas)
            return True
        if self._odd is None:
            self._odd = OddChunkReader()
        try:
            values = json_values(payload)
        except (ValueError, RecursionError):
            if payload.startswith((b"{", b"[")):
                return False
            values = []
            self._no_json = payload
        for value in chain.from_iterable(value if isinstance(value, list) else [value] for value in values):
            if isinstance(value, Mapping):
                self._read_chunk(self._odd.read(set_apart(value)))
        if not self._odd.odd:
            self._odd.odd["syntax"] = None
        return True

    def _read_error(self, payload: bytes) -> None:
        if self.done or not payload or payload == b"[DONE]":
            return
        try:
            error = json_values(payload)[0]
        except (ValueError, RecursionError):
            error = payload.decode("utf-8", "replace")
        raise self._report(error)

    def _report(self, error: Any) -> ModelFailed:
        self.reported = error
        return self._failures.reported(error)

    def _read_chunk(self, chunk: ProviderChunk) -> None:
        if chunk.error or chunk.object == "error":
            raise self._report(chunk.error or {"message": chunk.message})
        if chunk.choices is None and isinstance(chunk.message, str):
            raise self._report(chunk.message)
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            self._has_choices = True
            if not choice.index:  # the first choice
                self._read_choice(choice)

    def _read_choice(self, choice: Choice) -> None:
        if is_said(choice.finish_reason):
            self._finish = choice.finish_reason
        if is_said(choice.native_finish_reason):
            self._native_finish = choice.native_finish_reason
        if choice.logprobs is not None and choice.logprobs.content:
            self._logprobs += choice.logprobs.content
        said = len(self._deltas)
        if choice.delta is not None:
            self._read_delta(choice.delta)
            self._has_spoken = self._has_spoken or len(self._deltas) > said
        if choice.message is not None and not self._has_spoken:  # else it repeats the deltas
            self._has_message = True
            self._read_delta(choice.message)
        if choice.text:
            self._deltas.append(TextDelta(choice.text))
        if choice.error:
            raise self._report(choice.error)

    def _read_delta(self, delta: ProviderDelta) -> None:
        self._extra.read(delta)
        if thought := delta.reasoning_content or delta.reasoning or delta.thought:
            self._deltas.append(ThoughtDelta(thought))
        if text := delta.content or delta.refusal:
            self._refused = self._refused or not delta.content
            self._deltas.append(TextDelta(text))
        for piece in delta.tool_calls or ():
            call = self._calls.read(piece)
            self._deltas.append(call)
            if piece.extra:
                self._extra.read_call(call.index, piece.extra)
        if delta.function_call is not None:
            self._deltas.append(self._calls.read(ToolCallPiece(0, function=delta.function_call)))

    def _finish_with_end(self, deltas: list[Delta]) -> None:
        reason, native = ending(self._finish, self._native_finish, refused=self._refused)
        if reason is None:
            raise self._failures.ended_with(native)
        usage, logprobs = request_usage(self._usage), token_logprobs(self._logprobs)
        deltas.append(End(reason, usage, logprobs, self._extra.fields(), native))
        self.done = True


def _lone_text(data: bytes) -> str | None:
    """The fast path of most reads: the text of one whole event that holds nothing else. None for any other read."""
    if not (data.startswith(_EVENT) and data.endswith(b"\n\n")) or data.find(b"\n") < len(data) - 2 or b"\r" in data:
        return None
    try:
        chunk = decode_chunk(data[len(_EVENT) :])
    except _UNREADABLE:
        return None  # `_read` reports it
    choices = chunk.choices
    if chunk.usage is not None or chunk.error or chunk.object == "error" or not choices or len(choices) > 1:
        return None
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.index or choice.finish_reason or choice.logprobs is not None or choice.text:
        return None
    if choice.error or choice.native_finish_reason:
        return None
    if delta.reasoning_content or delta.reasoning or delta.tool_calls or delta.function_call is not None:
        return None
    if delta.reasoning_details or delta.thinking_blocks or delta.provider_specific_fields:
        return None
    return delta.content or None
