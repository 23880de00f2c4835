"""Writes a run's events into its log, in pieces that fit one SSE line, and counts turns and tool calls."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from aiostream_server import events
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.protocol import Log
from aiostream_server.runs.budget import Budget
from aiostream_server.text import clipped

MAX_PIECE_UNITS: Final = 8_000
"""In UTF-16 units. A piece stands in one SSE line, where each unit takes up to 6 bytes of ASCII; no such line may reach
64 KiB."""

_MAX_NAME_CHARS: Final = 200
_MAX_REPEATED_CHARS: Final = 200_000  # a huge repetition of what was streamed would push its tokens out of the log


class LogWriter:
    """One run's. `agents` are those that did anything, in the order of their first event."""

    def __init__(self, log: Log, budget: Budget) -> None:
        self.log = log
        self.budget: Final = budget
        self.agents: dict[str, None] = {}
        self.first_token_at: float | None = None

    def write_tokens(self, agent: str, kind: events.SpeechKind, texts: Sequence[str]) -> bool:
        """Write one token per text; a text that is too long becomes several. Returns as `Log.say` does."""
        if self.first_token_at is None:
            self.first_token_at = time.monotonic()
            self.agents.setdefault(agent)
        if len(texts[0] if len(texts) == 1 else max(texts, key=len)) * 2 > MAX_PIECE_UNITS:
            texts = [piece for text in texts for piece in pieces(text)]
        return self.log.say(agent if len(agent) <= _MAX_NAME_CHARS else shortened(agent), kind, texts)

    def tell(self, event: events.Event) -> None:
        """Write any other event. A whole message that is too long for one event is streamed first."""
        agent = event.agent if isinstance(event, events.FromAgent) else ""
        changed: dict[str, Any] = {} if agent == shortened(agent) else {"agent": shortened(agent)}
        if isinstance(event, events.Action | events.ToolRequested):
            self.budget.tool_call(is_own=isinstance(event, events.Action))
        elif isinstance(event, events.Speech):
            is_streamed = event.streamed
            if not isinstance(event, events.Answer):  # an answer repeats what was said
                is_streamed = is_streamed or self.stream_if_long(agent, event.content, event.type)
                if not isinstance(event, events.Thinking):
                    self.budget.ended_turn()
            if is_streamed and not (event.streamed and len(event.content) <= _MAX_REPEATED_CHARS):
                changed |= {"streamed": True, "content": event.content[:_MAX_REPEATED_CHARS]}
        if not isinstance(event, events.OfModelCall):  # agents that are not heard have costs, too
            self.agents.setdefault(agent)
        self.log.append(replace(event, **changed) if changed else event)

    def tell_message(self, kind: events.SpeechKind, agent: str, text: str, *, streamed: bool = False) -> bool:
        """Write the whole message of a kind. Tokens of kind `final` end with a `Message`: the `Answer` comes later.

        Returns whether it was streamed. A text that is too long for one event is streamed first. So is every one of
        kind `final`: only its tokens say that it belongs to the answer and not to the work before it.
        """
        if kind == "final" and not streamed:
            self.write_tokens(agent, kind, (text,))
            streamed = True
        streamed = streamed or self.stream_if_long(agent, text, kind)
        speech = events.Message if kind == "final" else events.SPEECHES[kind]
        self.tell(speech(agent=agent, content=text, streamed=streamed))
        return streamed

    def stream_if_long(self, agent: str, text: str, kind: events.SpeechKind) -> bool:
        """Stream the text if it is too long for one event. Returns whether it was."""
        is_long = len(text) > len(capped(text))
        if is_long:
            self.write_tokens(agent, kind, (text,))
        return is_long

    def release(self) -> None:
        """Let go of the log. Later events are ignored."""
        self.log = MemoryLog("")

    def alive(self) -> None:
        """There is nothing to write, but a model is at work: the run is not idle."""
        self.log.last_active_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        return self.log.is_full

    async def room(self) -> None:
        await self.log.room()


def pieces(text: str) -> Sequence[str]:
    """The text in pieces, never cut inside a character."""
    cut: list[str] = []
    start = 0
    while piece := capped(text, start):
        cut.append(piece)
        start += len(piece)
    return cut


def capped(text: str, start: int = 0) -> str:
    """As much of the text, from `start` on, as fits one piece."""
    if not start and len(text) * (1 if text.isascii() else 2) <= MAX_PIECE_UNITS:
        return text
    head = text[start : start + MAX_PIECE_UNITS]
    return head.encode("utf-16-le", "replace")[: MAX_PIECE_UNITS * 2].decode("utf-16-le", "ignore")


def shortened(name: str) -> str:
    """The name of an agent, a tool or a call; an absurdly long one is cut and ends with "…"."""
    return clipped(name, _MAX_NAME_CHARS)
