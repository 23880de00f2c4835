"""What the service manager is told: ready, how busy, stopping, and that the event loop still turns.

One datagram of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names:
https://www.freedesktop.org/software/systemd/man/252/sd_notify.html. Telling never waits and never fails the server:
what cannot be said now is said with what comes next.
"""

import re
import socket
import time
from collections.abc import Mapping
from typing import Final

from aiostream_server.service.figures import Figures

_USEC: Final = re.compile(r"0*[1-9][0-9]{0,19}")
_STATUS_S: Final = 3.0
_MARGIN_S: Final = 5.0  # after the time in which the server ends, before it is killed


class ServiceManager:
    """`address` is that of its socket, `@` in front for an abstract one; without one nothing is told.

    `watchdog_s`: unless it hears so often that the loop turns, it ends the process.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self.watchdog_s: Final = watchdog_s
        self.beat_s: Final = _STATUS_S if watchdog_s is None else min(_STATUS_S, watchdog_s / 2)
        """How often `beat` is to be called."""
        self._address: Final = address
        self._owed: dict[str, object] = {}
        self._ends_at: float | None = None

    @classmethod
    def named_in(cls, environ: Mapping[str, str], pid: int) -> "ServiceManager":
        """`WATCHDOG_USEC` counts where `WATCHDOG_PID` is this process or nobody."""
        usec, watched = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
        is_watched = _USEC.fullmatch(usec) and watched == str(pid)
        return cls(environ.get("NOTIFY_SOCKET") or None, int(usec) / 1e6 if is_watched else None)

    def ready(self) -> None:
        """Connections are accepted."""
        self._tell(READY=1)

    def reloading(self) -> None:
        """`reloaded` is to follow."""
        self._tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def reloaded(self) -> None:
        self._tell(READY=1)

    def beat(self, figures: Figures) -> None:
        """The event loop turns; to be called by itself, or by whoever knows."""
        alive = {} if self.watchdog_s is None else {"WATCHDOG": 1}
        if self._ends_at is None:
            self._tell(STATUS=figures, **alive)
        else:
            self._tell(STATUS=f"draining: {figures}", EXTEND_TIMEOUT_USEC=self._left_usec(self._ends_at), **alive)

    def stopping(self, within_s: float) -> None:
        """The process ends within that time: it is to be left alone for so long, whatever the unit says."""
        self._ends_at = time.monotonic() + within_s
        self._tell(STOPPING=1, STATUS="draining", EXTEND_TIMEOUT_USEC=self._left_usec(self._ends_at))

    def _left_usec(self, ends_at: float) -> int:
        return round((max(0.0, ends_at - time.monotonic()) + _MARGIN_S) * 1e6)

    def _tell(self, **assignments: object) -> None:
        if self._address is None:
            return
        self._owed = {**{key: value for key, value in self._owed.items() if key not in assignments}, **assignments}
        message = "\n".join(f"{key}={value}" for key, value in self._owed.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
                speaking.setblocking(False)
                speaking.sendto(
                    message.encode(), "\0" + self._address[1:] if self._address[0] == "@" else self._address
                )
        except (OSError, ValueError):  # it is away, or has not read the last ones; or no socket has such a name
            return
        self._owed = {}
