"""The run's log: numbered events, written by one run and read by any number of viewers.

In memory. What a run and its viewers need of it is small on purpose (`append`, `room`, `reader`), so that a log that
several processes share can take its place.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from aiostream_server.events import Entry, Event, RunFinished, SpeechKind, Token
from aiostream_server.log.entries import Entries

_MAX_READ_BYTES: Final = 16 * 1024  # what a viewer holds, encoded up to ten times as large, while it writes


class RunLog:
    """Events 1, 2, 3 ... of one run. Used from one event loop only; `RunFinished` ends it.

    A log that grows past `max_bytes` drops its oldest events, a quarter at a time; who reads from before them is told
    so by a `Dropped` in their place.
    """

    __slots__ = (
        "_entries",
        "_has_spoken",
        "_max_ahead_bytes",
        "_max_bytes",
        "_readers",
        "_waiting_for_room",
        "finished",
        "last_active_at",
        "run_id",
        "told",
    )

    def __init__(self, run_id: str, *, max_ahead_bytes: int = 256 * 1024, max_bytes: int = 16 * 1024**2) -> None:
        self.run_id: Final = run_id
        self.last_active_at = time.monotonic()
        self.finished = False
        self.told: Callable[[Event], None] | None = None
        """Told of every event that is kept; of tokens only of the first."""
        self._has_spoken = False
        self._max_ahead_bytes = max_ahead_bytes
        self._max_bytes = max_bytes
        self._entries: Final = Entries()
        self._readers: list[Reader] = []  # an empty set takes four times as much, and nearly always there is one
        self._waiting_for_room: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """The number of the last event."""
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self._entries.size_bytes

    @property
    def viewers(self) -> int:
        return len(self._readers)

    @property
    def holds_back(self) -> bool:
        """Whether somebody who has more to say waits for the viewers."""
        return bool(self._waiting_for_room)

    def append(self, *events: Event) -> None:
        """Number, stamp and keep; wake the viewers. Nothing is taken after `RunFinished`."""
        now = time.time()
        for event in events:
            if self.finished:
                break
            self._entries.add(event, now)
            self.finished = isinstance(event, RunFinished)
            if type(event) is not Token or not self._has_spoken:
                self._tell_of(event)
        self._appended(at_once=bool(events) and isinstance(events[-1], Token))

    def say(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bool:
        """The same as `append` of a `Token` for each text. Whether there is room for more: else it `is_full`, perhaps.

        Viewers that have kept up are given the texts as they are: no event is made for them.
        """
        if self.finished:
            return True
        entries, now = self._entries, time.time()
        last = len(entries)
        entries.add_tokens(agent, kind, texts, now)
        if not self._has_spoken and texts:
            self._tell_of(Token(agent, texts[0], kind))
        self.last_active_at = time.monotonic()
        if entries.total_bytes > self._max_bytes:
            self._keep_to_bound()
        for reader in self._readers:
            if reader.after != last or not reader._take_tokens(agent, kind, texts, now):  # noqa: SLF001 - one thing
                reader._tell(at_once=True)  # noqa: SLF001 - likewise
        return entries.total_bytes <= self._max_ahead_bytes or not self.is_full

    def _tell_of(self, event: Event) -> None:
        self._has_spoken = self._has_spoken or type(event) is Token
        if self.told is not None:
            self.told(event)

    @property
    def is_full(self) -> bool:
        """Whether every viewer is behind by more than the bound. A run without viewers never is."""
        if self._entries.size_bytes <= self._max_ahead_bytes:
            return False
        return bool(self._readers) and min(map(self._unread_bytes, self._readers)) > self._max_ahead_bytes

    async def room(self) -> None:
        """Wait while it is full."""
        while self.is_full:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_room.append(moved)  # one for each who waits: several agents may speak at once
            try:
                await moved
            finally:
                self._waiting_for_room.remove(moved)
                self.last_active_at = time.monotonic()

    def reader(self, after: int = 0) -> "Reader":
        """A viewer's place in the log, behind event number `after`, from 0. Close it when the viewer leaves."""
        if after < 0:
            raise ValueError(f"after = {after}: events are numbered from 1")
        reader = Reader(self, after)
        self._readers.append(reader)
        return reader

    def since(self, seq: int, *, max_bytes: float = math.inf) -> Sequence[Entry]:
        """The entries with a higher number; a `Dropped` stands for those that are gone.

        All of them, or the first ones: as many as it takes to reach `max_bytes`.
        """
        return self._entries.since(seq, max_bytes=max_bytes)

    def _appended(self, *, at_once: bool) -> None:
        self.last_active_at = time.monotonic()
        self._keep_to_bound()
        for reader in self._readers:
            reader._tell(at_once=at_once)  # noqa: SLF001 - the two classes are one thing

    def _keep_to_bound(self) -> None:
        if self._entries.size_bytes > self._max_bytes:
            self._entries.drop_to(self._max_bytes * 3 // 4)

    def _unread_bytes(self, reader: "Reader") -> int:
        return self._entries.total_bytes - self._entries.bytes_until(reader.after)

    def _moved(self) -> None:
        for moved in self._waiting_for_room:
            if not moved.done():
                moved.set_result(None)

    def _close(self, reader: "Reader") -> None:
        if reader in self._readers:
            self._readers.remove(reader)
        self._moved()


class Shortcut(Protocol):
    """A viewer, for a reader that waits. Each takes all of what it is given and says True, or nothing; then `read`
    returns. What it raises is raised by `read`."""

    def write_through(self, entries: Sequence[Entry]) -> bool: ...

    def write_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> bool:
        """The same for tokens of one voice, for which no entries were made. It may refuse any."""
        ...


class Reader:
    """One viewer's position: `after` is the number of the last event that it was given. `with log.reader() as reader:`
    closes it.

    While a viewer waits in `read`, what is new may be given to its `shortcut` instead: no task has to wake for it.
    Tokens are given in the very call that appends them; other events, which seldom come alone, in the next turn of the
    event loop. For a run's last event `read` returns.
    """

    __slots__ = ("_is_told", "_log", "_waiting", "after", "shortcut")

    def __init__(self, log: RunLog, after: int) -> None:
        self.after = after
        self.shortcut: Shortcut | None = None
        self._log = log
        self._waiting: asyncio.Future[None] | None = None
        self._is_told = False

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._log._close(self)  # noqa: SLF001 - the two classes are one thing

    @property
    def at_end(self) -> bool:
        """Whether the run is over and all of it was read."""
        return self._log.finished and self.after >= len(self._log)

    async def read(self) -> Sequence[Entry]:
        """What is new, a bounded part of it at a time. Waits for it, but for a `wake()`: then it may be nothing."""
        if self.after >= len(self._log) and not self._log.finished:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        entries = self._next()
        self._move(entries)
        return entries

    def wake(self) -> None:
        """Make a waiting `read` return."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _tell(self, *, at_once: bool) -> None:
        """There is something new."""
        if self.shortcut is None or self._log.finished:
            self.wake()
        elif self._waiting is None or self._waiting.done():
            return
        elif at_once:
            self._go_straight()
        elif not self._is_told:
            self._is_told = True  # once for all that is appended in this turn of the loop
            self._waiting.get_loop().call_soon(self._go_soon)

    def _take_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> bool:
        """Tokens right behind what was read; False where they are not taken."""
        waiting, shortcut = self._waiting, self.shortcut
        if shortcut is None or waiting is None or waiting.done():
            return False
        try:
            if not shortcut.write_tokens(agent, kind, texts, timestamp):
                return False
        except Exception as exc:
            waiting.set_exception(exc)  # the viewer's own: it ends the viewer, as anywhere else
            return True
        self.after += len(texts)
        if self._log._waiting_for_room:  # noqa: SLF001 - the two classes are one thing
            self._log._moved()  # noqa: SLF001 - likewise
        return True

    def _go_soon(self) -> None:
        self._is_told = False
        if self.after < len(self._log):
            self._go_straight()

    def _go_straight(self) -> None:
        if self.shortcut is None or self._waiting is None or self._waiting.done():
            return
        if not (entries := self._next()):  # it waits for numbers that are still to come
            return
        try:
            is_taken = self.shortcut.write_through(entries)
        except Exception as exc:
            self._waiting.set_exception(exc)  # the viewer's own: it ends the viewer, as anywhere else
            return
        if is_taken:
            self._move(entries)
        if self.after < len(self._log):
            self.wake()

    def _next(self) -> Sequence[Entry]:
        return self._log.since(self.after, max_bytes=_MAX_READ_BYTES)

    def _move(self, entries: Sequence[Entry]) -> None:
        if entries:
            self.after = entries[-1].seq
        if self._log.holds_back:
            self._log._moved()  # noqa: SLF001 - the two classes are one thing
