"""The log of a run that this process drives and others can see: that of one process, with numbers that are reserved.

Viewers here see an event before it is written to Redis. If the process fails meanwhile, the one that takes the run over
has to continue behind all numbers that viewers may have seen: so numbers are reserved in Redis ahead of their use. A
producer that has used them up waits.
"""

from collections.abc import Callable
from typing import Final

from aiostream_server.log.memory import MemoryLog

RESERVED_AHEAD: Final = 4096
_MARGIN: Final = 512  # for events that wait for no room


class ReservedLog(MemoryLog):
    """`on_shortage` is called when a producer waits for numbers."""

    def __init__(self, run_id: str, *, max_ahead_bytes: int = 64 * 1024, max_bytes: int = 16 * 1024**2) -> None:
        super().__init__(run_id, max_ahead_bytes=max_ahead_bytes, max_bytes=max_bytes)
        self.reserved = RESERVED_AHEAD
        self.on_shortage: Callable[[], object] | None = None

    @property
    def is_full(self) -> bool:
        return self._is_short or super().is_full

    async def room(self) -> None:
        if self._is_short and self.on_shortage is not None:
            self.on_shortage()
        await super().room()

    def reserve(self, last: int) -> None:
        """Numbers up to `last` may be used."""
        self.reserved = last
        if self.has_blocked_producer:
            self.reader_moved()

    @property
    def _is_short(self) -> bool:
        return self.committed > self.reserved - _MARGIN
