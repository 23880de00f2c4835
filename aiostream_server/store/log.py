"""The run's log: numbered events, written by one run and read by any number of viewers.

In memory. What a run and its viewers need of it is small on purpose (`append`, `room`, `reader`), so that a log that
several processes share can take its place.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiostream_server.events import Dropped, Entry, Event, RunFinished

_ENTRY_OVERHEAD_BYTES: Final = 200  # measured: an Entry with a Token, its strings' headers included


class RunLog:
    """Events 1, 2, 3 ... of one run. Used from one event loop only; `RunFinished` ends it.

    A log that grows past `max_bytes` drops its oldest events, a quarter at a time; who reads from before them is told
    so by a `Dropped` in their place.
    """

    def __init__(self, run_id: str, *, max_ahead_bytes: int = 256 * 1024, max_bytes: int = 16 * 1024**2) -> None:
        self.run_id: Final = run_id
        self.last_append_at = time.monotonic()
        self.finished = False
        self._max_ahead_bytes = max_ahead_bytes
        self._max_bytes = max_bytes
        self._dropped = 0
        self._dropped_bytes = 0
        self._entries: list[Entry] = []
        self._bytes = 0
        self._readers: set[Reader] = set()
        self._waiting_for_room: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        """The number of the last event."""
        return self._dropped + len(self._entries)

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        return self._bytes - self._dropped_bytes

    @property
    def viewers(self) -> int:
        return len(self._readers)

    def append(self, *events: Event) -> None:
        """Number, stamp and keep; wake the viewers. Nothing is taken after `RunFinished`."""
        now = time.time()
        for event in events:
            if self.finished:
                break
            self._entries.append(Entry(len(self) + 1, now, event))
            self._bytes += _size(event)
            self.finished = isinstance(event, RunFinished)
        self.last_append_at = time.monotonic()
        if self.size_bytes > self._max_bytes:
            self._drop_oldest()
        for reader in self._readers:
            reader.wake()

    async def room(self) -> None:
        """Wait while every viewer is behind by more than the bound. A run without viewers does not wait."""
        while self._readers and min(self._bytes - r.seen_bytes for r in self._readers) > self._max_ahead_bytes:
            moved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting_for_room.add(moved)  # one for each who waits: several agents may speak at once
            try:
                await moved
            finally:
                self._waiting_for_room.discard(moved)

    def reader(self, after: int = 0) -> "Reader":
        """A viewer's place in the log, behind event number `after`, from 0. Close it when the viewer leaves."""
        if after < 0:
            raise ValueError(f"after = {after}: events are numbered from 1")
        before = self._entries[: max(0, after - self._dropped)]
        seen_bytes = self._dropped_bytes + sum(_size(entry.event) for entry in before)
        reader = Reader(self, after, seen_bytes=seen_bytes)
        self._readers.add(reader)
        return reader

    def since(self, seq: int) -> Sequence[Entry]:
        """All entries with a higher number; a `Dropped` stands for those that are gone."""
        if seq >= self._dropped:
            return self._entries[seq - self._dropped :]
        gone = Entry(self._dropped, self._entries[0].timestamp, Dropped(first=seq + 1))
        return [gone, *self._entries]

    def _drop_oldest(self) -> None:
        goal = self._max_bytes * 3 // 4
        count = 0
        while self.size_bytes > goal and count < len(self._entries) - 1:
            self._dropped_bytes += _size(self._entries[count].event)
            count += 1
        self._dropped += count
        del self._entries[:count]

    def _moved(self) -> None:
        for moved in self._waiting_for_room:
            if not moved.done():
                moved.set_result(None)

    def _close(self, reader: "Reader") -> None:
        self._readers.discard(reader)
        self._moved()


class Reader:
    """One viewer's position. `with log.reader() as reader:` closes it."""

    def __init__(self, log: RunLog, after: int, *, seen_bytes: int) -> None:
        self.seen_bytes = seen_bytes
        self._log = log
        self._after = after
        self._waiting: asyncio.Future[None] | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._log._close(self)  # noqa: SLF001 - the two classes are one thing

    @property
    def at_end(self) -> bool:
        """Whether the run is over and all of it was read."""
        return self._log.finished and self._after >= len(self._log)

    async def read(self) -> Sequence[Entry]:
        """All that is new. Waits for something new, but for a `wake()`, after which it may be nothing."""
        if self._after >= len(self._log) and not self._log.finished:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        entries = self._log.since(self._after)
        self._after = entries[-1].seq if entries else self._after
        self.seen_bytes = self._log._bytes  # noqa: SLF001
        self._log._moved()  # noqa: SLF001
        return entries

    def wake(self) -> None:
        """Make a waiting `read` return."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _size(event: Event) -> int:
    """About how many bytes of memory."""
    return _ENTRY_OVERHEAD_BYTES + len(getattr(event, "content", "")) + len(getattr(event, "arguments", ""))
