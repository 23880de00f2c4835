"""A worker's end of the socket pair between it and its parent.

The worker reports its problems, or that it is ready, and then its status as often as its event loop turns. A byte from
the parent asks for the worker's page (`pages`), for another worker that has asked for the pages of all. When the parent
ends, for any reason, the socket closes, and the worker gets a SIGTERM.
"""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from typing import Final

from aiostream_server.service.status import ProcessStatus

_BEAT_S: Final = 0.5


class ParentChannel:
    """The worker's end, a `StatusReceiver`. Sends a SIGTERM to this process when the parent has ended."""

    beat_s: Final = _BEAT_S

    def __init__(self, connection: socket.socket) -> None:
        self._connection: Final = connection
        self.on_page_asked: Callable[[], object] | None = None
        """Called in a thread, each time that another worker asks for the pages of all."""
        connection.setblocking(True)
        connection.set_inheritable(False)
        threading.Thread(target=self._watch, name="parent", daemon=True).start()

    def ready(self) -> None:
        self.tell_problems(())

    def reloading(self) -> None:
        """The parent has asked for the reload itself."""

    def reloaded(self, problem: str) -> None:
        """The parent does not wait for it."""

    def beat(self, status: ProcessStatus) -> None:
        with suppress(OSError):  # the parent has ended, or the socket's buffer is full
            self._connection.send(json.dumps({"status": astuple(status)}).encode() + b"\n", socket.MSG_DONTWAIT)

    def stopping(self, within_s: float) -> None:
        """The parent has asked for it, or sees the end of the process."""

    def tell_problems(self, problems: Sequence[str]) -> None:
        with suppress(ConnectionError):  # the parent has ended: a SIGTERM is on its way
            self._connection.sendall(json.dumps({"problems": problems}).encode() + b"\n")

    def ask_for_pages(self) -> None:
        """Ask all other workers to write their pages."""
        with suppress(OSError):  # as in `beat`
            self._connection.send(json.dumps({"asks": "pages"}).encode() + b"\n", socket.MSG_DONTWAIT)

    def _watch(self) -> None:
        with suppress(ConnectionError):
            while self._connection.recv(1):
                if (on_asked := self.on_page_asked) is not None:
                    with suppress(RuntimeError):  # the event loop has ended
                        on_asked()
        os.kill(os.getpid(), signal.SIGTERM)
