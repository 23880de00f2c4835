"""How long a thread was on a processor, and how long it waited for one: /proc/thread-self/schedstat.

https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
"""

import ctypes
import os
from typing import Final, NamedTuple, Self

_FILE: Final = "/proc/thread-self/schedstat"  # ns on a processor, ns waiting for one, times
_MOST_BYTES: Final = 64


class ThreadTimes(NamedTuple):
    """In seconds, since the thread began."""

    cpu_s: float
    delay_s: float


class ThreadStat:
    """Any thread may read it, which takes 3 µs and does not give up Python's lock."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor: Final = descriptor
        self._pread: Final = ctypes.PyDLL(None).pread

    @classmethod
    def of_this_thread(cls) -> Self:
        """Where the kernel does not keep these times, all are 0."""
        try:
            return cls(os.open(_FILE, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return cls(None)

    def read(self) -> ThreadTimes:
        text = ctypes.create_string_buffer(_MOST_BYTES)
        if self._descriptor is None or self._pread(self._descriptor, text, _MOST_BYTES - 1, 0) <= 0:
            return ThreadTimes(0.0, 0.0)
        cpu_ns, delay_ns, _ = text.value.split()
        return ThreadTimes(int(cpu_ns) / 1e9, int(delay_ns) / 1e9)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
