"""An alarm that wakes a thread unless it is set anew: timerfd_create(2)."""

import ctypes
import os
import time
from typing import Final, Self


class Alarm:
    """Resetting it takes a microsecond and wakes no thread."""

    def __init__(self, libc: ctypes.PyDLL, descriptor: int) -> None:
        self._libc: Final = libc
        self._descriptor: Final = descriptor
        self._time: Final = (ctypes.c_long * 4)()  # struct itimerspec: the interval, then the time

    @classmethod
    def of_the_kernel(cls) -> Self | None:
        """None on systems without such timers, which only Linux has."""
        libc = ctypes.PyDLL(None)
        if not hasattr(libc, "timerfd_create"):
            return None
        descriptor = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
        return None if descriptor < 0 else cls(libc, descriptor)

    def ring_in(self, seconds: float) -> None:
        """Set the alarm anew, to ring in at most a second."""
        self._time[3] = int(seconds * 1e9)
        self._libc.timerfd_settime(self._descriptor, 0, self._time, None)

    def wait(self) -> None:
        os.read(self._descriptor, 8)

    def close(self) -> None:
        os.close(self._descriptor)
