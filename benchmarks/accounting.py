"""What a process has used, by the kernel's own accounting of it. Linux only."""

import os
import time
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK: Final = 2  # CPUCLOCK_SCHED: user and system time of all threads, in nanoseconds


def cpu_s(pids: tuple[int, ...]) -> float:
    """User and system time of these processes together; finer than the hundredths in /proc/PID/stat.

    The number of another process's clock is what clock_getcpuclockid(3) gives, which Python does not offer.
    """
    return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in pids)


def system_s(pids: tuple[int, ...]) -> float:
    """The kernel's part of that, in hundredths of a second."""
    return sum(int(_stat(pid)[12]) for pid in pids) / _TICKS_PER_S


def memory_bytes(pids: tuple[int, ...]) -> int:
    """Resident, together."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES for pid in pids)


def with_children(pid: int) -> tuple[int, ...]:
    """The process and all that descend from it now."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return (pid, *(each for child in found for each in with_children(int(child))))


def _stat(pid: int) -> list[str]:
    """From the state on: what is before it may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
