"""A worker, as its parent sees it."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from socket import socketpair
from typing import Any, Final, TypeAlias

from aiostream_server.service.sockets import Listening
from aiostream_server.service.status import ProcessStatus
from aiostream_server.service.workers.pages import WorkerPages
from aiostream_server.service.workers.share import ConnectionCounts

_READ_BYTES: Final = 64 * 1024

Command: TypeAlias = Callable[..., Sequence[str]]
"""Makes a worker's command line of numbers: the worker's own, then the descriptors that it inherits: the channel, the
connection counts, the pages, whether the listening sockets are adopted (1 or 0), and each of these."""


class WorkerProcess:
    """A fresh process, not a fork. `connection` is readable when `hear` has something to read.

    `reported` are its problems, or none if it is ready; None until it reports. `asks_for_pages` is set when it asks for
    the pages of all.
    """

    def __init__(
        self, number: int, command: Command, listening: Listening, counts: ConnectionCounts, pages: WorkerPages
    ) -> None:
        self.number: Final = number
        self.connection, theirs = socketpair()
        self.connection.setblocking(False)
        self.reported: Sequence[str] | None = None
        self.process_status = ProcessStatus()
        self._received = b""
        self._started_at: Final = time.monotonic()
        self._heard_at = self._started_at
        self.is_aborted = False
        self.asks_for_pages = False
        channel, sockets = theirs.fileno(), [each.fileno() for each in listening.sockets]
        with theirs:
            self._process: Final = subprocess.Popen(
                command(number, channel, counts.descriptor, pages.descriptor, int(listening.is_adopted), *sockets),
                pass_fds=(channel, counts.descriptor, pages.descriptor, *sockets),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        return self.reported == []

    def is_silent(self, for_s: float) -> bool:
        """Whether a worker that was ready has reported nothing for so long: its event loop is blocked."""
        return self.is_ready and time.monotonic() - self._heard_at > for_s

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self._started_at

    @property
    def status(self) -> int | None:
        """The exit status: None while the process lives, negative for a signal that ended it."""
        return self._process.poll()

    def hear(self) -> bool:
        """Read its reports, without waiting. Returns False when it has closed the channel."""
        try:
            while piece := self.connection.recv(_READ_BYTES):
                self._received += piece
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        finally:
            *lines, self._received = self._received.split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        return False

    def _take(self, said: Mapping[str, Any]) -> None:
        self._heard_at = time.monotonic()
        if "status" in said:
            self.process_status = ProcessStatus(*said["status"])
        elif "asks" in said:
            self.asks_for_pages = True
        else:
            self.reported = said["problems"]

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def ask_for_page(self) -> None:
        """Have the worker write its page, as another one has asked."""
        with suppress(OSError):  # it ends, or has not read what was asked before
            self.connection.send(b"p")

    def abort(self) -> None:
        """End a worker with a blocked event loop, which would not handle a SIGTERM."""
        self.is_aborted = True
        self.signal(signal.SIGABRT)

    def wait(self) -> None:
        self._process.wait()

    def close(self) -> None:
        self.connection.close()
