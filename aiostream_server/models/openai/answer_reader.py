"""Reads the body of an answer as deltas: events, lines of JSON, or one JSON document if the provider ignored `stream`.

All events of one read are read together, but a large read is shared out: the event loop turns in between.
"""

from collections.abc import Mapping
from itertools import chain
from time import perf_counter
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
    decode_text_chunk,
    request_usage,
    token_logprobs,
)
from aiostream_server.models.openai.endings import ending, is_said
from aiostream_server.models.openai.extra_fields import ExtraFieldsReader, set_apart
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.openai.odd_chunks import OddChunkReader, json_values, thought_in
from aiostream_server.models.provider import Delta, End, TextDelta, ThoughtDelta

_SHARE_S: Final = 0.001  # of the event loop, for one read; a larger one is read on in the next turn
_SLICE_BYTES: Final = 2 * 1024  # of tiny events that do not fit, 4 ms
_MAX_CHARACTERS: Final = 64 * 1024**2  # of text and reasoning; the longest outputs of models are below 1 MiB
_MAX_SILENT_BYTES: Final = 64 * 1024**2  # without a word or a call: keep-alives, comments, fields that are not read
_EVENT: Final = b"data: "
_MOST_MISSES: Final = 32
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
        "_is_plain",
        "_logprobs",
        "_misses",
        "_native_finish",
        "_no_json",
        "_odd",
        "_refused",
        "_said",
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
        self._misses = 0  # of the fast path
        self._unread = b""  # the rest of a large read
        self._silent_bytes = 0
        self._deltas: list[Delta] = []  # of the current read
        self._has_choices = False
        self._has_message = False  # a whole one
        self._said = 0  # characters of text and reasoning
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
        return bool(self._said or self._calls.count)

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
        if self._is_plain and (delta := self._lone_text(data)) is not None:
            self._said += len(delta.text)
            if self._said <= _MAX_CHARACTERS:
                return [delta]
            self.failure = self._too_much()
        if self.done or self.failure is not None:
            return []
        if len(data) <= _SLICE_BYTES and not self._unread:
            return self._read(data)
        data = self._unread + data
        self._unread = data[_SLICE_BYTES:]
        deltas = self._read(data[:_SLICE_BYTES])
        self._read_share(deltas)
        return deltas

    def close(self) -> None:
        """Break the reference cycle of a reader that is not needed any more."""
        self._events.close()

    def _lone_text(self, data: bytes) -> TextDelta | ThoughtDelta | None:
        """The fast path of most reads: one whole event that holds nothing but text. None for any other read."""
        if (
            not (data.startswith(_EVENT) and data.endswith(b"\n\n"))
            or data.find(b"\n") < len(data) - 2
            or b"\r" in data
        ):
            return None
        return self._text_of(data[len(_EVENT) :])

    def _text_of(self, payload: bytes) -> TextDelta | ThoughtDelta | None:
        """What an event says that holds nothing but text. None for any other event."""
        try:
            chunk = decode_text_chunk(payload)
        except _UNREADABLE:  # what is wrong with it is reported where it is read again
            self._misses += 1
            return None
        choice = chunk.choices[0]
        if choice.index or chunk.object == "error":
            return None
        delta = choice.delta
        thought = delta.reasoning_content or delta.reasoning
        if not thought:
            return TextDelta(delta.content) if delta.content else None
        if delta.content or (delta.reasoning_content and delta.reasoning):
            return None
        self._extra.read_reasoning("reasoning_content" if delta.reasoning_content else "reasoning", thought)
        return ThoughtDelta(thought)

    def _read_share(self, deltas: list[Delta]) -> None:
        """Read on while the share of the event loop lasts."""
        rest, at = self._unread, 0
        ends_at = perf_counter() + _SHARE_S
        while at < len(rest) and perf_counter() < ends_at and self.failure is None and not self.done:
            deltas += self._read(rest[at : at + _SLICE_BYTES])
            at += _SLICE_BYTES
        self._unread = rest[at:]
        self._is_plain = self._is_plain and not self._unread

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
        if deltas:
            self._silent_bytes = 0
            if self._said > _MAX_CHARACTERS:
                self.failure = self._too_much()
        elif data is not None:
            self._silent_bytes += len(data)
            if self._silent_bytes > _MAX_SILENT_BYTES and self.failure is None:
                self.failure = self._failures.said(f"sent more than {_MAX_SILENT_BYTES // 1024**2} MiB without a word")
        # Where many chunks have more than text, to try the fast path first costs more than it saves.
        may_be_plain = self._misses < _MOST_MISSES and not self.done and self.failure is None
        self._is_plain = may_be_plain and self._events.is_between
        return deltas

    def _read_event(self, payload: bytes) -> bool:
        """False if the payload may be the beginning of JSON."""
        if self.done:
            return True
        if payload == b"[DONE]":
            self._finish_with_end(self._deltas)
            return True
        if self._misses < _MOST_MISSES and (delta := self._text_of(payload)) is not None:
            self._said += len(delta.text)
            self._has_choices = True
            self._deltas.append(delta)
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
        if choice.finish_reason and is_said(choice.finish_reason):
            self._finish = choice.finish_reason
        if choice.native_finish_reason and is_said(choice.native_finish_reason):
            self._native_finish = choice.native_finish_reason
        if choice.logprobs is not None and choice.logprobs.content:
            self._logprobs += choice.logprobs.content
        if choice.delta is not None:
            self._read_delta(choice.delta)
        if choice.message is not None and not (self._said or self._calls.count):  # else it repeats the deltas
            self._has_message = True
            self._read_delta(choice.message)
        if choice.text:
            self._said += len(choice.text)
            self._deltas.append(TextDelta(choice.text))
        if choice.error:
            raise self._report(choice.error)

    def _read_delta(self, delta: ProviderDelta) -> None:
        thought = delta.reasoning_content or delta.reasoning or delta.thought
        if thought or delta.extra or delta.reasoning_details or delta.thinking_blocks or delta.provider_specific_fields:
            self._extra.read(delta)
            if not thought and delta.reasoning_details:
                thought = thought_in(delta.reasoning_details)
        if thought:
            self._said += len(thought)
            self._deltas.append(ThoughtDelta(thought))
        if text := delta.content or delta.refusal:
            self._refused = self._refused or not delta.content
            self._said += len(text)
            self._deltas.append(TextDelta(text))
        for piece in delta.tool_calls or ():
            call = self._calls.read(piece)
            self._deltas.append(call)
            if piece.extra:
                self._extra.read_call(call.index, piece.extra)
        if delta.function_call is not None:
            self._deltas.append(self._calls.read(ToolCallPiece(0, function=delta.function_call)))

    def _too_much(self) -> ModelFailed:
        return self._failures.said(f"sent more than {_MAX_CHARACTERS // 1024**2} MiB of text")

    def _finish_with_end(self, deltas: list[Delta]) -> None:
        reason, native = ending(self._finish, self._native_finish, refused=self._refused)
        if reason is None:
            raise self._failures.ended_with(native)
        usage, logprobs = request_usage(self._usage), token_logprobs(self._logprobs)
        deltas.append(End(reason, usage, logprobs, self._extra.fields(), native))
        self.done = True
