"""One worker, as its parent sees it."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import socketpair
from typing import Final, TypeAlias

from aiostream_server.service.figures import Figures
from aiostream_server.service.sockets import Listening
from aiostream_server.service.workers.line import ParentsEnd
from aiostream_server.service.workers.loads import Loads

Command: TypeAlias = Callable[..., Sequence[str]]
"""That of a worker, with numbers only: its own, then what it inherits: the line, the loads, whether the listening
sockets are adopted (1 or 0), and each of those."""


class WorkerProcess:
    """A fresh process, not a fork. `line` is readable when there is something to `hear`."""

    def __init__(self, number: int, command: Command, listening: Listening, loads: Loads) -> None:
        self.number: Final = number
        self.line, theirs = socketpair()
        self._end: Final = ParentsEnd(self.line)
        self._started_at: Final = time.monotonic()
        self.is_aborted = False
        line, sockets = theirs.fileno(), [each.fileno() for each in listening.sockets]
        with theirs:
            self._process: Final = subprocess.Popen(
                command(number, line, loads.descriptor, int(listening.is_adopted), *sockets),
                pass_fds=(line, loads.descriptor, *sockets),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """It has said so."""
        return self._end.problems == []

    @property
    def problems(self) -> Sequence[str]:
        """What it said is wrong."""
        return self._end.problems or ()

    @property
    def figures(self) -> Figures:
        """The last ones it told."""
        return self._end.figures

    def is_silent(self, for_s: float) -> bool:
        """It was ready, and its event loop has not turned for so long."""
        return self.is_ready and time.monotonic() - self._end.heard_at > for_s

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self._started_at

    @property
    def status(self) -> int | None:
        """None while it lives; negative: the signal that ended it."""
        return self._process.poll()

    def hear(self) -> bool:
        """False when it will never say anything more."""
        return self._end.read()

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def abort(self) -> None:
        """It does not listen any more."""
        self.is_aborted = True
        self.signal(signal.SIGABRT)

    def wait(self) -> None:
        self._process.wait()

    def close(self) -> None:
        """After its end."""
        self.line.close()
