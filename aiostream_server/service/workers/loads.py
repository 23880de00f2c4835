"""How many connections each worker has, in memory that all of them see.

Each writes its own number only, so there is nothing to lock. A number may be old by the time it is read: it decides who
takes a connection first, and nothing else.
"""

import mmap
import os
import tempfile
from typing import Final

_BYTES: Final = 8
_AWAY: Final = 2**62  # of a worker that takes no connections: busier than any


class Loads:
    """Workers are numbered from 1."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Final = descriptor
        self._counts: Final = memoryview(mmap.mmap(descriptor, 0)).cast("q")

    @classmethod
    def create(cls, workers: int) -> "Loads":
        """For so many, all of them away. The descriptor is for them to inherit."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("aiostream-loads")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, workers * _BYTES)
        loads = cls(descriptor)
        for worker in range(1, workers + 1):
            loads.leave(worker)
        return loads

    def tell(self, worker: int, connections: int) -> None:
        self._counts[worker - 1] = connections

    def leave(self, worker: int) -> None:
        """It takes no connections now."""
        self._counts[worker - 1] = _AWAY

    def excess(self, worker: int) -> int:
        """How many more it has than the one that has the fewest."""
        return self._counts[worker - 1] - min(self._counts)
