"""A page for each worker in shared memory: what it counts, for the worker that is asked for the metrics of all.

Only its worker writes a page, so there is nothing to lock. Each page has two places, written in turn, and a header that
says which one is valid: a worker that is killed while it writes leaves the page of before. A page outlives its worker,
and the next one of the same number reads it.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_PLACE_BYTES: Final = 64 * 1024**2  # of address space: what is not written takes no memory
_HEADER: Final = struct.Struct("<QQIB")  # version, length, checksum, whether the worker lives
_HEADER_BYTES: Final = 64
_TRIES: Final = 8  # a reader that meets two writes in a row is slow, one that meets eight is stopped


@dataclass(frozen=True, slots=True)
class WorkerPage:
    """`version` counts the writes of all workers of this number."""

    version: int
    is_live: bool
    content: bytes


class WorkerPages:
    """Workers are numbered from 1, and inherit the descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor: Final = descriptor
        self._workers: Final = os.fstat(descriptor).st_size // (_HEADER_BYTES + 2 * _PLACE_BYTES)

    @classmethod
    def create(cls, workers: int) -> "WorkerPages":
        descriptor = os.memfd_create("aiostream-pages")
        os.ftruncate(descriptor, workers * (_HEADER_BYTES + 2 * _PLACE_BYTES))
        return cls(descriptor)

    @classmethod
    def inherited(cls, descriptor: int) -> "WorkerPages":
        """Programs that the worker starts do not inherit it."""
        os.set_inheritable(descriptor, False)
        return cls(descriptor)

    def write(self, worker: int, content: bytes) -> None:
        """Write the worker's page. Only the worker itself calls this."""
        version = self._header(worker)[0] + 1
        os.pwrite(self.descriptor, content, self._place(worker, version))
        self._write_header(worker, version, len(content), zlib.crc32(content), 1)

    def mark_ended(self, worker: int) -> None:
        """The worker has ended; for its parent. What it has written stays."""
        version, length, checksum, _ = self._header(worker)
        self._write_header(worker, version, length, checksum, 0)

    def read(self, worker: int) -> WorkerPage | None:
        """The latest page; None where no worker of this number has written one."""
        for _ in range(_TRIES):
            version, length, checksum, is_live = self._header(worker)
            if not version:
                return None
            content = os.pread(self.descriptor, length, self._place(worker, version))
            if zlib.crc32(content) == checksum:
                return WorkerPage(version, bool(is_live), content)
        return None

    def read_all(self) -> Iterator[tuple[int, WorkerPage]]:
        """The pages that there are, by their workers' numbers."""
        for worker in range(1, self._workers + 1):
            if (page := self.read(worker)) is not None:
                yield worker, page

    def versions(self) -> dict[int, int]:
        """The version of each live worker's page, by worker."""
        headers = ((worker, self._header(worker)) for worker in range(1, self._workers + 1))
        return {worker: header[0] for worker, header in headers if header[3]}

    def elect(self) -> bool:
        """Whether this worker is the one that does what only one of them may do: until it ends, however it does."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _header(self, worker: int) -> tuple[int, int, int, int]:
        header: tuple[int, int, int, int] = _HEADER.unpack(
            os.pread(self.descriptor, _HEADER.size, (worker - 1) * _HEADER_BYTES)
        )
        return header

    def _write_header(self, worker: int, *header: int) -> None:
        os.pwrite(self.descriptor, _HEADER.pack(*header), (worker - 1) * _HEADER_BYTES)

    def _place(self, worker: int, version: int) -> int:
        return self._workers * _HEADER_BYTES + (2 * (worker - 1) + version % 2) * _PLACE_BYTES
