"""Runs a program below a small process that kills all its descendants when it ends, in any session.

This process is a child subreaper (prctl(2)): orphaned descendants become its children, so it finds them all. This
module imports only the standard library, and runs without the package, so that it starts fast.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CHILDREN = Path("/proc/thread-self/children")
_REAP_INTERVAL_S = 0.001


def under_subreaper(command: Sequence[str]) -> Sequence[str]:
    """The command that runs `command` below a subreaper, and exits with its status.

    At SIGTERM, and when its parent ends, it kills the program.
    """
    start = (
        f"import sys; sys.path.append({str(Path(__file__).parent)!r}); from subreaper import run; run({[*command]!r})"
    )
    return [sys.executable, "-I", "-S", "-c", start]


def run(command: Sequence[str]) -> None:
    """Never returns."""
    watched = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    program = os.fork()
    if not program:
        _become(command)
    status = None
    while status is None and signal.sigwait(watched) == signal.SIGCHLD:
        status = _reaped().get(program)
    _end_all()
    _leave(status)


def _become(command: Sequence[str]) -> None:
    """Reset the signals as `subprocess` does, and execute the program."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execv(command[0], list(command))  # noqa: S606 - no shell is wanted
    finally:
        os._exit(127)


def _reaped() -> dict[int, int]:
    """The statuses of the children that have ended, by process id."""
    statuses: dict[int, int] = {}
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[ended[0]] = ended[1]
    return statuses


def _end_all() -> None:
    """Kill all children. Their own children become ours, so repeat until there are none."""
    while _CHILDREN.exists():  # a kernel may be without them
        for pid in _CHILDREN.read_text().split():
            with suppress(ProcessLookupError, PermissionError):  # a setuid program
                os.kill(int(pid), signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_REAP_INTERVAL_S)  # until the kernel has ended them


def _leave(status: int | None) -> None:
    """Exit with the program's status, or by the signal that ended it."""
    code = -signal.SIGTERM if status is None else os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL has no handler to reset
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), -code)
    os._exit(code % 256)
