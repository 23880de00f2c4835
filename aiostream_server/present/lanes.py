"""One speaker at a time, where several speak at once.

While an agent's message is being streamed, whatever other agents say waits until it is closed; else two parallel
agents' tokens would be shuffled into one another. Nothing waits where agents take turns.
"""

from collections.abc import Iterator

from aiostream_server.events import Answer, Error, Event, RunFinished, Token
from aiostream_server.events.model import Analysis, Message, Thinking, Validation
from aiostream_server.present.shown import Channel, Presenter, Shown


class Lanes:
    """Reorders events so that the tokens of one message stand together. Feed every event of a run."""

    __slots__ = ("_held", "_speaking")

    def __init__(self) -> None:
        self._speaking: str | None = None
        self._held: list[Event] = []

    def order(self, event: Event) -> Iterator[Event]:
        """The events to show now, in the order to show them in."""
        if isinstance(event, Error | RunFinished):
            yield from self._release()
        elif self._speaking is not None and getattr(event, "agent", self._speaking) != self._speaking:
            self._held.append(event)
            return
        yield event
        self._note(event)
        while self._speaking is None and self._held:
            yield from self._order_held()

    def is_turn_of(self, agent: str) -> bool:
        """Whether the agent is in the middle of a message that nobody else interrupts."""
        return self._speaking == agent

    def _order_held(self) -> Iterator[Event]:
        held, self._held = self._held, []
        for waiting in held:
            yield from self.order(waiting)

    def _note(self, event: Event) -> None:
        if isinstance(event, Token):
            self._speaking = event.agent
        elif isinstance(event, Thinking | Validation | Analysis | Message | Answer):
            self._speaking = None

    def _release(self) -> Iterator[Event]:
        """The run ends: nobody waits any longer for a message that was never closed."""
        self._speaking = None
        while self._held:
            yield from self._order_held()
            self._speaking = None


class InTurn:
    """A presenter that is told one message at a time, whoever speaks at once."""

    __slots__ = ("_lanes", "_presenter")

    def __init__(self, presenter: Presenter) -> None:
        self._lanes = Lanes()
        self._presenter = presenter

    def show(self, event: Event) -> Iterator[Shown]:
        for ordered in self._lanes.order(event):
            yield from self._presenter.show(ordered)

    def continued(self, token: Token) -> Channel | None:
        return self._presenter.continued(token) if self._lanes.is_turn_of(token.agent) else None
