"""One worker, as its parent sees it."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from aiostream_server.service.workers.line import ParentsEnd
from aiostream_server.service.workers.loads import Loads

Command: TypeAlias = Callable[[int, int, int, int], Sequence[str]]
"""That of a worker: its number, and what it inherits: the listening socket, the line, the loads."""


class WorkerProcess:
    """A fresh process, not a fork. `line` is readable when there is something to `hear`."""

    def __init__(self, number: int, command: Command, listening: socket.socket, loads: Loads) -> None:
        self.number: Final = number
        self.line, theirs = socket.socketpair()
        self._end: Final = ParentsEnd(self.line)
        self._started_at: Final = time.monotonic()
        inherited = (listening.fileno(), theirs.fileno(), loads.descriptor)
        with theirs:
            self._process: Final = subprocess.Popen(command(number, *inherited), pass_fds=inherited)

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

    def wait(self) -> None:
        self._process.wait()

    def close(self) -> None:
        """After its end."""
        self.line.close()
