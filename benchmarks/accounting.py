"""CPU time and memory of processes, as the Linux kernel accounts them."""

import os
import time
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK: Final = 2  # CPUCLOCK_SCHED: user and system time of all threads, in nanoseconds


def cpu_s(pids: tuple[int, ...]) -> float:
    """The sum of user and system time, finer than the hundredths of a second in /proc/PID/stat.

    Python has no clock_getcpuclockid(3), so the clock id of another process is computed here.
    """
    return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in pids)


def system_s(pids: tuple[int, ...]) -> float:
    """The sum of system time alone, in hundredths of a second."""
    return sum(int(_stat(pid)[12]) for pid in pids) / _TICKS_PER_S


def memory_bytes(pids: tuple[int, ...]) -> int:
    """The sum of resident memory."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES for pid in pids)


def with_children(pid: int) -> tuple[int, ...]:
    """The process and its present descendants."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return (pid, *(each for child in found for each in with_children(int(child))))


def _stat(pid: int) -> list[str]:
    """The fields from the state on. The name before it may contain spaces."""
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
