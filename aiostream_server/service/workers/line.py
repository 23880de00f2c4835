"""What ties a worker to its parent: a socket pair, one end in each.

The worker says one thing, once: what is wrong with it; nothing, where it is ready. The parent says nothing. That it has
ended, however it did, is seen by the end of the line, and is a SIGTERM to the worker.
"""

import json
import os
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_READ_BYTES: Final = 64 * 1024


class WorkersEnd:
    """From here on the process gets a SIGTERM when its parent has ended."""

    def __init__(self, line: socket.socket) -> None:
        self._line: Final = line
        line.setblocking(True)
        line.set_inheritable(False)
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def tell_ready(self) -> None:
        self.tell_problems(())

    def tell_problems(self, problems: Sequence[str]) -> None:
        with suppress(ConnectionError):  # the parent has ended, which is told by a signal
            self._line.sendall(json.dumps(problems).encode() + b"\n")

    def _watch(self) -> None:
        with suppress(ConnectionError):
            while self._line.recv(1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)


class ParentsEnd:
    """`problems` is None until the worker has spoken."""

    def __init__(self, line: socket.socket) -> None:
        self.line: Final = line
        self.problems: list[str] | None = None
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
            if self.problems is None and self._received.endswith(b"\n"):
                self.problems = json.loads(self._received)
        return False
