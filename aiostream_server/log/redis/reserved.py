"""The log of a run that this process drives and others can see: that of one process, with numbers that are reserved.

Viewers here see an event before it is written to Redis. If the process fails meanwhile, the one that takes the run over
has to continue behind all numbers that viewers may have seen: so numbers are reserved in Redis ahead of their use. A
producer that has used them up waits.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from aiostream_server.events import Dropped, Event, Speech, Thinking
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.redis.shared_reader import SharedReader

RESERVED_AHEAD: Final = 4096
_MARGIN: Final = 512  # for events that wait for no room


class ReservedLog(MemoryLog):
    """`on_shortage` is called when a producer waits for numbers, `on_turn_end` when an agent has said a whole message,
    `on_complete` when the team has; `doubts` says whether another process may have taken the run over. The events up to
    number `written_before` are another process's."""

    def __init__(self, run_id: str, *, max_ahead_bytes: int = 64 * 1024, max_bytes: int = 16 * 1024**2) -> None:
        super().__init__(run_id, max_ahead_bytes=max_ahead_bytes, max_bytes=max_bytes)
        self.reserved = RESERVED_AHEAD
        self.written_before = 0
        self.on_shortage: Callable[[], object] | None = None
        self.on_turn_end: Callable[[], object] | None = None
        self.on_complete: Callable[[], Awaitable[None]] | None = None
        self.doubts: Callable[[], bool] | None = None
        self._begins_behind = 0

    def continue_behind(self, written: int, reserved: int) -> None:
        """Begin as the log of a run that another process drove: of its events Redis has those up to `written`, and it
        may have shown numbers up to `reserved`."""
        self.written_before = written
        self.drop_all(max(written, reserved - 1))
        self._begins_behind = self.dropped
        self.reserved = max(written, reserved) + RESERVED_AHEAD
        if reserved > written:
            self.append(Dropped(first=written + 1))

    @property
    def keeps_from(self) -> int:
        """The number from which on the run's events are to be kept in Redis; 0: all of them."""
        return self.dropped + 1 if self.dropped > self._begins_behind else 0

    def append(self, *events: Event) -> None:
        super().append(*events)
        if self.on_turn_end is not None:
            for event in events:
                if isinstance(event, Speech) and not isinstance(event, Thinking):
                    self.on_turn_end()

    @property
    def is_full(self) -> bool:
        return self._is_short or super().is_full

    async def room(self) -> None:
        if self._is_short and self.on_shortage is not None:
            self.on_shortage()
        await super().room()

    @property
    def is_in_doubt(self) -> bool:
        return self.doubts is not None and self.doubts()

    async def complete(self) -> None:
        if self.on_complete is not None:
            await self.on_complete()

    def reader(self, after: int = 0) -> SharedReader:
        return SharedReader.of(self, after)

    def reserve(self, last: int) -> None:
        """Numbers up to `last` may be used."""
        self.reserved = last
        if self.has_blocked_producer:
            self.reader_moved()

    @property
    def _is_short(self) -> bool:
        return self.committed > self.reserved - _MARGIN
