"""An alarm that wakes a thread unless it is set anew: timerfd_create(2)."""

import ctypes
import os
import time
from typing import Final


class KernelAlarm:
    """Resetting it takes a microsecond and wakes no thread."""

    def __init__(self) -> None:
        self._libc: Final = ctypes.PyDLL(None)
        self._descriptor: Final[int] = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
        self._time: Final = (ctypes.c_long * 4)()  # struct itimerspec: the interval, then the time

    def ring_in(self, seconds: float) -> None:
        """Set the alarm anew, to ring in at most a second."""
        self._time[3] = int(seconds * 1e9)
        self._libc.timerfd_settime(self._descriptor, 0, self._time, None)

    def wait(self) -> None:
        os.read(self._descriptor, 8)

    def close(self) -> None:
        os.close(self._descriptor)
