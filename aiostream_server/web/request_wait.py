"""How long requests wait before their handler begins: in the kernel's queues, and in those of the event loop.

A timer of the event loop cannot tell: it is not behind other connections, and not behind those that are accepted first.
The kernel remembers when a connection's last bytes came (`TCP_INFO`, tcp(7)). Its clock ticks every 1 to 10 ms. Unix
sockets do not tell; behind a proxy on one the waits are not known.
"""

import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import web

_SPAN_S: Final = 5
_SPANS: Final = 12  # a minute
_LAST_SENT_AND_RECEIVED: Final = struct.Struct("44xI4xI")
"""`tcpi_last_data_sent` and `tcpi_last_data_recv` in milliseconds: linux/tcp.h."""


class RequestWaits:
    """The waits of all requests of one server, in seconds. Used in one event loop."""

    def __init__(self) -> None:
        self.last_s = 0.0
        self.report: Callable[[float], object] | None = None
        """Is told every wait."""
        self._spans: Final[deque[tuple[int, float]]] = deque(maxlen=_SPANS)
        """The longest wait of each span of five seconds that had a request; spans are numbered."""

    @property
    def max_s(self) -> float:
        """The longest wait of the last minute."""
        oldest = _span() - _SPANS
        return max((longest for span, longest in self._spans if span > oldest), default=0.0)

    def measure(self, request: web.Request) -> None:
        """Call this first for each request."""
        wait_s = _waited_s(request)
        if wait_s is None:
            return
        self.last_s = wait_s
        span = _span()
        if not self._spans or self._spans[-1][0] != span:
            self._spans.append((span, wait_s))
        elif wait_s > self._spans[-1][1]:
            self._spans[-1] = span, wait_s
        if self.report is not None:
            self.report(wait_s)


def _span() -> int:
    return int(time.monotonic()) // _SPAN_S


def _waited_s(request: web.Request) -> float | None:
    """Since the last bytes came, or since the last bytes of an answer that had to be sent first."""
    connection = request.get_extra_info("socket")
    if connection is None or connection.family == socket.AF_UNIX:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_SENT_AND_RECEIVED.size)
    except OSError:  # it is closed
        return None
    sent_ms, received_ms = _LAST_SENT_AND_RECEIVED.unpack(info)
    return float(min(sent_ms, received_ms)) / 1000
