"""What processes that accept from the same sockets share: the sockets, and how many connections each of them has."""

import mmap
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from aiostream_server.service.sockets import Listening

_BYTES: Final = 8
_AWAY: Final = 2**62  # the count of a worker that accepts nothing: larger than any real one


class ConnectionCounts:
    """A count per worker, in shared memory. Workers are numbered from 1.

    Each worker writes its own number only, so there is nothing to lock. A number may be old when it is read: it only
    decides which worker accepts a connection first.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Final = descriptor
        self._counts: Final = memoryview(mmap.mmap(descriptor, 0)).cast("q")

    @classmethod
    def create(cls, workers: int) -> "ConnectionCounts":
        """All workers are away at first. Workers inherit the descriptor."""
        descriptor = os.memfd_create("aiostream-connections")
        os.ftruncate(descriptor, workers * _BYTES)
        counts = cls(descriptor)
        for worker in range(1, workers + 1):
            counts.leave(worker)
        return counts

    def set(self, worker: int, connections: int) -> None:
        self._counts[worker - 1] = connections

    def leave(self, worker: int) -> None:
        """The worker accepts no connections any more."""
        self._counts[worker - 1] = _AWAY

    def excess(self, worker: int) -> int:
        """How many connections more the worker has than the one with the fewest."""
        return self._counts[worker - 1] - min(self._counts)


@dataclass(frozen=True, slots=True)
class SocketShare:
    """One process's share of listening sockets. `number` counts from 1."""

    number: int
    listening: Listening
    counts: ConnectionCounts
    has_parent: bool

    @classmethod
    def inherited(cls, number: int, counts: int, is_adopted: bool, listening: Sequence[int]) -> Self:
        """A worker's share, from inherited descriptors. Programs that the worker starts do not inherit them."""
        os.set_inheritable(counts, False)
        sockets = tuple(socket.socket(fileno=descriptor) for descriptor in listening)
        for each in sockets:
            each.set_inheritable(False)
        return cls(number, Listening(sockets, is_adopted=is_adopted), ConnectionCounts(counts), has_parent=True)

    @classmethod
    def without_workers(cls, listening: Listening) -> Self:
        """The share of the only worker. During a restart the former or the next server may accept from sockets of
        systemd, too."""
        return cls(1, listening, ConnectionCounts.create(1), has_parent=False)
