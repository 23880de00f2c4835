"""What a run writes to and its viewers read from. `log.memory` is the implementation of one process.

A log numbers its events 1, 2, 3 ... and ends with `RunFinished`. A reader sees the events up to number `committed`.
In memory, an event is committed when it is appended; an implementation for several processes may commit it later, and
then wakes its readers later.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from aiostream_server.events import Entry, Event, SpeechKind


class Shortcut(Protocol):
    """A viewer that takes new events while its task waits in `Reader.read`, so that the task need not wake up.

    Each method takes all that it is given and returns True, or takes nothing and returns False; then `read` returns.
    An exception from either is raised by `read`.
    """

    def write_through(self, entries: Sequence[Entry]) -> bool: ...

    def write_tokens(
        self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float, times: Sequence[float] = ()
    ) -> bool:
        """Take tokens of one agent and kind, for which no entries were made. May always return False.

        `timestamp` is the last one's; `times` are those of all, unless they are the same.
        """


class Reader(AbstractContextManager["Reader"], Protocol):
    """One viewer's cursor: `after` is the number of the last event that it was given.

    `with log.reader() as reader:` closes it. While a viewer waits in `read`, its `shortcut` is given what is new:
    tokens in the same call that appends them, other events in the next iteration of the event loop. The last event of
    a run is always returned by `read`.
    """

    after: int
    shortcut: Shortcut | None

    @property
    def at_end(self) -> bool:
        """Whether the run has finished and all of its events were read."""

    async def read(self) -> Sequence[Entry]:
        """Wait for new events and return them, at most some kilobytes at a time. Returns none after `wake()`."""

    def wake(self) -> None:
        """Make a waiting `read` return."""


class Log(Protocol):
    """One run's events. Used from one event loop only."""

    last_active_at: float
    """`time.monotonic()` of the last sign of life: the idle timeout counts from here."""
    on_event: Callable[[Event], None] | None
    """Called with every event that is appended; of tokens only with the first."""

    @property
    def committed(self) -> int:
        """The number of the last event that readers may see."""

    @property
    def finished(self) -> bool:
        """Whether `RunFinished` was appended. Later events are ignored."""

    @property
    def size_bytes(self) -> int:
        """About how much memory the log takes."""

    @property
    def viewers(self) -> int:
        """How many readers are open."""

    @property
    def is_full(self) -> bool:
        """Backpressure: whether every viewer is behind by more than the bound. Without viewers never."""

    @property
    def has_blocked_producer(self) -> bool:
        """Whether an agent waits in `room`."""

    def append(self, *events: Event) -> None:
        """Number and timestamp the events, keep them and wake the readers."""

    def say(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bool:
        """The same as `append` of a `Token` for each text, without making the tokens.

        Returns whether there is certainly room for more; if not, look at `is_full`.
        """

    async def room(self) -> None:
        """Wait while the log is full."""

    def reader(self, after: int = 0) -> Reader:
        """A viewer's cursor behind event number `after`. Raises `ValueError` for a negative number."""

    def since(self, seq: int, *, max_bytes: float = math.inf) -> Sequence[Entry]:
        """The entries with a higher number than `seq`; a `Dropped` stands for those that are gone.

        All of them, or the first ones: as many as it takes to reach `max_bytes`.
        """

    @property
    def is_in_doubt(self) -> bool:
        """Whether another process may have taken the run over, because this one was paused. `complete` tells."""

    async def complete(self) -> None:
        """The team has done all of its turn. Returns once other processes know that, so that none begins it again.

        Call it before the turn is kept as a part of its conversation.
        """

    def condensed(self) -> Sequence[Entry]:
        """All entries, but of tokens that one agent says in a row only the first: the whole message repeats them."""


class LogFactory(Protocol):
    """Makes the log of a run that is about to start."""

    def __call__(self, run_id: str, *, max_bytes: int) -> Log: ...
