"""Runs a program, in a small process of its own, and ends all that it has started, in whatever session that is.

On Linux: what loses its parent becomes a child of this process, so nothing leaves the tree below it. Elsewhere only the
process group is ended, by whoever started this. Nothing is imported here that is not in Python, so that it starts soon.
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
_LOOK_S = 0.001


def warded(command: Sequence[str]) -> Sequence[str]:
    """The command that runs this one. It leaves with its status; at SIGTERM, and when its parent ends, it ends it."""
    start = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); from warden import run; run({[*command]!r})"
    return [sys.executable, "-I", "-S", "-c", start]


def run(command: Sequence[str]) -> None:
    """Does not return."""
    watched = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    if sys.platform == "linux":
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
    """As Python's own `subprocess` starts a program."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execv(command[0], list(command))  # noqa: S606 - there is to be no shell
    finally:
        os._exit(127)


def _reaped() -> dict[int, int]:
    """Statuses, of those that have ended."""
    statuses: dict[int, int] = {}
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[ended[0]] = ended[1]
    return statuses


def _end_all() -> None:
    """The children of one that was killed become ours: it is over when there are none."""
    while _CHILDREN.exists():
        for pid in _CHILDREN.read_text().split():
            with suppress(ProcessLookupError, PermissionError):  # a program with rights of its own
                os.kill(int(pid), signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_LOOK_S)  # until the kernel is done with them


def _leave(status: int | None) -> None:
    """As the program did."""
    code = -signal.SIGTERM if status is None else os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL cannot be handled, and need not be
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), -code)
    os._exit(code % 256)
