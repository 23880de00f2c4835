"""Events -> parts: what a run shows, one message at a time, and everything once.

A log repeats itself and shuffles: the tokens of a message are followed by the whole message, which repeats them; the
answer repeats an earlier message; and agents that speak at once interleave their tokens. This is the one place that
knows so. Everything that shows a run to a person, and every protocol, reads parts:

* `Opened`, then `Token`s, then `Closed`: one message, streamed or not
* `ActionToken`: a piece of a call's arguments; the whole call follows
* `Action`, `ToolResult`, `Routing`, `InputRequested`, `ToolRequested`, `Notice`, `Dropped`, `Restarted`, `Error`,
  `RunFinished`: events as they are

While one agent's message is open, the events of other agents wait until it is closed.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from aiostream_server.events import (
    Action,
    ActionToken,
    Answer,
    Dropped,
    Error,
    Event,
    FromAgent,
    InputRequested,
    ModelCalled,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    RunStarted,
    Said,
    Speech,
    SpeechKind,
    Thinking,
    Token,
    ToolRequested,
    ToolResult,
    Usage,
    Waiting,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """`agent` begins a message. Its text follows in `Token`s, at least one.

    `whole` is the message if it was not streamed: then one `Token` holds all of it. `is_repeated`: it is the answer,
    and earlier messages have shown its words.
    """

    agent: str
    kind: SpeechKind
    whole: Said | None = None
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The message that was opened last ends. `said` repeats all of it; None if it was broken off."""

    agent: str
    kind: SpeechKind
    said: Said | None


EventPart: TypeAlias = (
    Action | ToolResult | Routing | InputRequested | ToolRequested | Notice | Dropped | Restarted | Error | RunFinished
)
Part: TypeAlias = Opened | Token | Closed | ActionToken | EventPart


class Parts:
    """One reader's view of one run."""

    __slots__ = ("_held", "_open", "_speaking", "_texts", "_words")

    def __init__(self) -> None:
        self._open: Opened | None = None
        self._speaking: str | None = None  # other agents wait for this one
        self._held: list[Event] = []
        self._texts: dict[str, None] = {}  # an empty set takes three times the memory
        self._words: defaultdict[str, list[str]] = defaultdict(list)

    def is_open(self, token: Token) -> bool:
        """Whether the token continues the open message: its only part is the token itself."""
        opened = self._open
        return opened is not None and opened.kind == token.kind and opened.agent == token.agent

    def of(self, event: Event) -> Iterator[Part]:
        """The parts to show now. Feed every event of the run, in order."""
        if isinstance(event, Error | RunFinished | Restarted):
            yield from self._release()
        elif self._speaking is not None and isinstance(event, FromAgent) and event.agent != self._speaking:
            self._held.append(event)
            return
        yield from self._in_turn(event)
        while self._speaking is None and self._held:
            yield from self._held_back()

    def _held_back(self) -> Iterator[Part]:
        held, self._held = self._held, []
        for event in held:
            yield from self.of(event)

    def _release(self) -> Iterator[Part]:
        """The run ends, or begins again: show the events that wait for a message that was never closed."""
        self._speaking = None
        while self._held:
            yield from self._held_back()
            self._speaking = None

    def _in_turn(self, event: Event) -> Iterator[Part]:
        match event:
            case Token():
                if not self.is_open(event):
                    yield from self._close()
                    self._open, self._speaking = Opened(event.agent, event.kind), event.agent
                    yield self._open
                yield event
            case Speech():
                yield from self._message(event)
                self._speaking = None
            case (
                ActionToken()
                | Action()
                | ToolResult()
                | Routing()
                | InputRequested()
                | ToolRequested()
                | Notice()
                | Dropped()
                | Error()
                | RunFinished()
            ):
                yield from self._close()
                yield event
            case Restarted():
                yield from self._close()
                self._texts.clear()
                self._words.clear()
                yield event
            case RunStarted() | Waiting() | ModelCalled() | Usage():
                pass
            case _:
                assert_never(event)

    def _message(self, event: Said) -> Iterator[Part]:
        if event.streamed:
            yield from self._close(event)
        else:
            yield from self._close()
            if event.content.strip():
                yield Opened(event.agent, event.type, event, isinstance(event, Answer) and self._repeats(event))
                yield Token(event.agent, event.content, event.type)
                yield Closed(event.agent, event.type, event)
        self._texts[event.content.strip()] = None
        if not isinstance(event, Thinking):
            self._words[event.agent].append(event.content)

    def _close(self, said: Said | None = None) -> Iterator[Part]:
        if self._open is not None:
            opened, self._open = self._open, None
            yield Closed(opened.agent, opened.kind, said if said and said.agent == opened.agent else None)

    def _repeats(self, answer: Answer) -> bool:
        """Whether a message had the answer's words, or several did, between which the agent was thinking."""
        text = answer.content.strip()
        return text in self._texts or "".join(self._words[answer.agent]).strip().endswith(text)
