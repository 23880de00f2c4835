"""What ties a worker to its parent: a socket pair, one end in each.

The worker says what is wrong with it, or that it is ready, and from then on how busy it is, as often as its event loop
turns for it. The parent says nothing. That it has ended, however it did, is seen by the end of the line, and is a
SIGTERM to the worker.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from typing import Final

from aiostream_server.service.figures import Figures

_READ_BYTES: Final = 64 * 1024
_BEAT_S: Final = 0.5


class WorkersEnd:
    """An `Overseer`. From here on the process gets a SIGTERM when its parent has ended."""

    beat_s: Final = _BEAT_S

    def __init__(self, line: socket.socket) -> None:
        self._line: Final = line
        line.setblocking(True)
        line.set_inheritable(False)
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def ready(self) -> None:
        self.tell_problems(())

    def reloading(self) -> None:
        """The parent has asked for it."""

    def reloaded(self) -> None:
        """The parent does not wait for it."""

    def beat(self, figures: Figures) -> None:
        with suppress(OSError):  # the parent has ended, or has not read the last thousand of them
            self._line.send(json.dumps({"figures": astuple(figures)}).encode() + b"\n", socket.MSG_DONTWAIT)

    def stopping(self, within_s: float) -> None:
        """The parent has asked for it, or sees the end."""

    def tell_problems(self, problems: Sequence[str]) -> None:
        with suppress(ConnectionError):  # the parent has ended, which is told by a signal
            self._line.sendall(json.dumps({"problems": problems}).encode() + b"\n")

    def _watch(self) -> None:
        with suppress(ConnectionError):
            while self._line.recv(1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)


class ParentsEnd:
    """`problems` is None until the worker has spoken; `heard_at` is when it spoke last, by `time.monotonic`."""

    def __init__(self, line: socket.socket) -> None:
        self.line: Final = line
        self.problems: list[str] | None = None
        self.figures = Figures()
        self.heard_at = time.monotonic()
        self._received = b""
        line.setblocking(False)

    def read(self) -> bool:
        """What is there, without waiting. Returns False at the end of the line."""
        try:
            while piece := self.line.recv(_READ_BYTES):
                self._received += piece
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        finally:
            *lines, self._received = self._received.split(b"\n")
            for line in lines:
                self._hear(line)
        return False

    def _hear(self, line: bytes) -> None:
        said = json.loads(line)
        self.heard_at = time.monotonic()
        if "figures" in said:
            self.figures = Figures(*said["figures"])
        else:
            self.problems = said["problems"]
