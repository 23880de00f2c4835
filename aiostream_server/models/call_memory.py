"""What a run's model calls leave for its later ones: the extra fields of answers, and the tools that were offered.

AutoGen's messages have no place for what a provider sends beside text and tool calls and wants back with them. So the
client keeps it here, by the message that AutoGen will send: its text, or its calls with ids and arguments. An equal
message that was said again has an entry of its own; the last message gets the last entry. What one service sent goes to
no other (`origin`). `saved` and `restore` carry the entries to the next run of the conversation.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from hashlib import blake2b
from typing import Annotated, Any, Final

import msgspec
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, LLMMessage
from autogen_core.tools import ToolSchema

from aiostream_server.models.provider import ExtraFields, KeptAnswer

_MAX_BYTES: Final = 2 * 1024**2  # of a run, and of what is kept of it
_MAX_ENTRIES: Final = 2_000

_Content = str | Sequence[FunctionCall]


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    message: str  # a digest
    origin: str
    speaker: str | None
    text: str
    fields: dict[str, Any]
    calls: dict[int, dict[str, Any]]

    @property
    def answer(self) -> KeptAnswer:
        return KeptAnswer(self.text, ExtraFields(self.fields, self.calls))


_Saved = Annotated[list[_Entry], msgspec.Meta(max_length=_MAX_ENTRIES)]


class CallMemory:
    """One run's. `speaker` is the agent that calls; None outside a team."""

    def __init__(self) -> None:
        self._entries: list[tuple[_Entry, int]] = []  # with its size, oldest first
        self._bytes = 0
        self._offered: dict[str | None, Sequence[ToolSchema]] = {}

    def keep(self, origin: str, speaker: str | None, content: _Content, answer: KeptAnswer) -> None:
        """Keep what came with the answer that AutoGen sends as `content`; the oldest entries make room."""
        extra = answer.extra
        calls = {number: dict(fields) for number, fields in extra.calls.items()}
        self._add(_Entry(_digest(content), origin, speaker, answer.text, dict(extra.message), calls))

    def recall(self, origin: str, speaker: str | None, messages: Sequence[LLMMessage]) -> Mapping[int, KeptAnswer]:
        """What goes back with these messages, by their index."""
        known: dict[str, list[_Entry]] = {}
        for entry, _ in self._entries:
            if entry.origin == origin:
                known.setdefault(entry.message, []).append(entry)
        if not known:
            return {}
        found: dict[int, KeptAnswer] = {}
        for index in range(len(messages) - 1, -1, -1):
            message = messages[index]
            if isinstance(message, AssistantMessage) and (entries := known.get(_digest(message.content))):
                own = [at for at, entry in enumerate(entries) if entry.speaker == speaker]
                found[index] = entries.pop(own[-1] if own else -1).answer
        return found

    def offer(self, speaker: str | None, tools: Sequence[ToolSchema]) -> None:
        """Remember the tools of a call."""
        if tools:
            self._offered[speaker] = tools

    def offered(self, speaker: str | None) -> Sequence[ToolSchema]:
        """The tools of the speaker's last call that had some; without one, those of all speakers."""
        own = self._offered.get(speaker)
        return own if own is not None else [tool for tools in self._offered.values() for tool in tools]

    def saved(self) -> list[Any]:
        """The entries as JSON."""
        saved: list[Any] = msgspec.to_builtins([entry for entry, _ in self._entries], str_keys=True)
        return saved

    def restore(self, saved: object) -> None:
        """Add what `saved` returned. Raises `ValueError` for anything else."""
        for entry in msgspec.convert(saved, _Saved, str_keys=True):
            self._add(entry)

    def clear(self) -> None:
        """Let go of everything when the run ends: pooled connections keep its context, and so this object."""
        self._entries.clear()
        self._offered.clear()
        self._bytes = 0

    def _add(self, entry: _Entry) -> None:
        size = len(json.dumps(msgspec.to_builtins(entry)))
        self._entries.append((entry, size))
        self._bytes += size
        while self._bytes > _MAX_BYTES or len(self._entries) > _MAX_ENTRIES:
            self._bytes -= self._entries.pop(0)[1]


current_calls: Final[ContextVar[CallMemory | None]] = ContextVar("current_calls", default=None)


def _digest(content: _Content | list[FunctionCall]) -> str:
    digest = blake2b(digest_size=16)
    for part in _parts(content):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _parts(content: _Content | list[FunctionCall]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for call in content:
        yield from ("call", call.id, call.name, call.arguments)
