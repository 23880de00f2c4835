"""The log of a run in the memory of one process: `MemoryLog`, and its `MemoryReader`."""
# ruff: noqa: SLF001 - the two classes use each other's private parts: they are one thing

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

from aiostream_server.events import Entry, Event, RunFinished, SpeechKind, Token
from aiostream_server.log.entries import Entries
from aiostream_server.log.protocol import Shortcut

_MAX_READ_BYTES: Final = 16 * 1024  # a viewer holds this while it writes, encoded up to ten times as large


class MemoryLog(Entries):
    """The `Log` of one process: an event is committed as soon as it is appended.

    A log that grows past `max_bytes` drops its oldest events, a quarter at a time; readers get a `Dropped` in their
    place. Producers wait while every viewer is more than `max_ahead_bytes` behind.
    """

    def __init__(self, run_id: str, *, max_ahead_bytes: int = 64 * 1024, max_bytes: int = 16 * 1024**2) -> None:
        super().__init__()
        self.run_id: Final = run_id
        self.last_active_at = time.monotonic()
        self.finished = False
        self.on_event: Callable[[Event], None] | None = None
        self._has_spoken = False
        self._max_ahead_bytes = max_ahead_bytes
        self._max_bytes = max_bytes
        self.readers: list[MemoryReader] = []  # nearly always one: an empty set takes four times the memory
        self._waiting_for_room: list[asyncio.Future[None]] = []

    @property
    def viewers(self) -> int:
        return len(self.readers)

    @property
    def has_blocked_producer(self) -> bool:
        return bool(self._waiting_for_room)

    def append(self, *events: Event) -> None:
        now = time.time()
        for event in events:
            if self.finished:
                break
            self.add(event, now)
            self.finished = isinstance(event, RunFinished)
            if type(event) is not Token or not self._has_spoken:
                self._report(event)
        self.last_active_at = time.monotonic()
        self.keep_to_bound()
        for reader in self.readers:
            reader.notify(at_once=bool(events) and isinstance(events[-1], Token))

    def say(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bool:
        """Gives the texts as they are to readers that have kept up: this is the path of nearly every token."""
        if self.finished:
            return True
        now, last = time.time(), self.committed
        self.add_tokens(agent, kind, texts, now)
        if not self._has_spoken and texts:
            self._report(Token(agent, texts[0], kind))
        self.last_active_at = time.monotonic()
        if self.total_bytes > self._max_bytes:
            self.keep_to_bound()
        for reader in self.readers:
            if reader.after != last or not reader._take_tokens(agent, kind, texts, now):
                reader.notify(at_once=True)
        return self.total_bytes <= self._max_ahead_bytes or not self.is_full

    def _report(self, event: Event) -> None:
        self._has_spoken = self._has_spoken or type(event) is Token
        if self.on_event is not None:
            self.on_event(event)

    @property
    def is_full(self) -> bool:
        if self.size_bytes <= self._max_ahead_bytes:
            return False
        return bool(self.readers) and min(map(self._unread_bytes, self.readers)) > self._max_ahead_bytes

    async def room(self) -> None:
        while self.is_full:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_room.append(moved)  # one per producer: several agents may speak at once
            try:
                await moved
            finally:
                self._waiting_for_room.remove(moved)
                self.last_active_at = time.monotonic()

    @property
    def is_in_doubt(self) -> bool:
        return False

    async def complete(self) -> None:
        """No other process drives the run."""

    def reader(self, after: int = 0) -> "MemoryReader":
        if after < 0:
            raise ValueError(f"after = {after}: events are numbered from 1")
        reader = MemoryReader(self, after)
        self.readers.append(reader)
        return reader

    def keep_to_bound(self) -> None:
        if self.size_bytes > self._max_bytes:
            self.drop_to(self._max_bytes * 3 // 4)

    def _unread_bytes(self, reader: "MemoryReader") -> int:
        return self.total_bytes - self.bytes_until(reader.after)

    def reader_moved(self) -> None:
        for moved in self._waiting_for_room:
            if not moved.done():
                moved.set_result(None)


class MemoryReader:
    """The `Reader` of a `MemoryLog`."""

    def __init__(self, log: MemoryLog, after: int) -> None:
        self.after = after
        self.shortcut: Shortcut | None = None
        self._log = log
        self._waiting: asyncio.Future[None] | None = None
        self._is_scheduled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self in self._log.readers:
            self._log.readers.remove(self)
            self._log.reader_moved()

    @property
    def at_end(self) -> bool:
        return self._log.finished and self.after >= self._log.committed

    async def read(self) -> Sequence[Entry]:
        if self.after >= self._log.committed and not self._log.finished:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        entries = self.next_entries()
        self.move(entries)
        return entries

    def call_at_news(self, tell: Callable[[], object]) -> None:
        """Call when something is appended next, once. For a reader that does not `read`."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._waiting.add_done_callback(lambda _: tell())

    def wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def skip(self, seq: int) -> None:
        """Move the cursor without reading: the events up to this number were taken from the log itself."""
        self.after = max(self.after, seq)
        if self._log.has_blocked_producer:
            self._log.reader_moved()

    def notify(self, *, at_once: bool) -> None:
        """Something was appended."""
        if self.shortcut is None or self._log.finished:
            self.wake()
        elif at_once:
            self._use_shortcut()
        elif not self._is_scheduled:
            self._is_scheduled = True  # one callback for all that is appended in this iteration
            asyncio.get_running_loop().call_soon(self._use_shortcut)

    def _take_tokens(
        self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float, times: Sequence[float] = ()
    ) -> bool:
        """Give the shortcut tokens that follow what was read. False: it did not take them."""
        waiting, shortcut = self._waiting, self.shortcut
        if shortcut is None or waiting is None or waiting.done():
            return False
        try:
            if not shortcut.write_tokens(agent, kind, texts, timestamp, times):
                return False
        except Exception as exc:
            waiting.set_exception(exc)  # ends this viewer, and no other
            return True
        self.after += len(texts)
        if self._log._waiting_for_room:
            self._log.reader_moved()
        return True

    def _use_shortcut(self) -> None:
        self._is_scheduled = False
        if self.shortcut is None or self._waiting is None or self._waiting.done():
            return
        if not (entries := self.next_entries()):  # they were taken before, or have numbers below the reader's
            return
        try:
            is_taken = self.shortcut.write_through(entries)
        except Exception as exc:
            self._waiting.set_exception(exc)  # ends this viewer, and no other
            return
        if is_taken:
            self.move(entries)
        if self.after < self._log.committed:
            self.wake()

    def next_entries(self) -> Sequence[Entry]:
        return self._log.since(self.after, max_bytes=_MAX_READ_BYTES)

    def move(self, entries: Sequence[Entry]) -> None:
        if entries:
            self.after = entries[-1].seq
        if self._log.has_blocked_producer:
            self._log.reader_moved()
