"""A viewer's cursor in a run that processes share. It can change from this process's log to a mirror of another's."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

from aiostream_server.errors import RunsUnavailable
from aiostream_server.events import Dropped, Entry
from aiostream_server.log.memory import MemoryLog, MemoryReader

_AGAIN_S = 0.5


@runtime_checkable
class Paged(Protocol):
    """A log that holds the latest events of a run, and reads older ones in pages."""

    async def page(self, after: int) -> Sequence[Entry]: ...


class SharedReader(MemoryReader):
    """The `Reader` of a `ReservedLog` or a `Mirror`. `on_close` is called when it was closed."""

    on_close: Callable[[], object] | None = None

    @classmethod
    def of(cls, log: MemoryLog, after: int) -> Self:
        """Raises `ValueError` for a negative number."""
        if after < 0:
            raise ValueError(f"after = {after}: events are numbered from 1")
        reader = cls(log, after)
        log.readers.append(reader)
        return reader

    def move_to(self, log: MemoryLog) -> None:
        """Go on in another log of the same run."""
        self._log.readers.remove(self)
        self._log = log
        log.readers.append(self)
        self.wake()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self.on_close is not None:
            self.on_close()

    async def read(self) -> Sequence[Entry]:
        log = self._log
        if self.after >= log.dropped or not isinstance(log, Paged):
            return await super().read()
        try:
            entries = await log.page(self.after)
        except RunsUnavailable:
            self._waiting = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(_AGAIN_S, self.wake)
            await self._waiting
            return []
        if not entries:  # kept no longer
            entries = [Entry(log.dropped, time.time(), Dropped(first=self.after + 1))]
        self.move(entries)
        return entries

    def next_entries(self) -> Sequence[Entry]:
        return () if self.after < self._log.dropped and isinstance(self._log, Paged) else super().next_entries()
