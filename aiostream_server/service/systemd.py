"""systemd: the listening sockets that it hands over, and the notifications that it gets.

Sockets stay open while one server stops and the next one starts:
https://www.freedesktop.org/software/systemd/man/252/sd_listen_fds.html.
A notification is one datagram of `KEY=value` lines to the socket in `NOTIFY_SOCKET`:
https://www.freedesktop.org/software/systemd/man/252/sd_notify.html.
"""

import os
import re
import socket
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Final

from aiostream_server.errors import ConfigError
from aiostream_server.service.sockets import Listening, prepare
from aiostream_server.service.status import ProcessStatus
from aiostream_server.text import printable_line

_LISTEN_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
_NOTIFY_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_FIRST_DESCRIPTOR: Final = 3
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
_USEC: Final = re.compile(r"0*[1-9][0-9]{0,19}")
_STATUS_S: Final = 3.0
_STATUS_CHARS: Final = 500
_MARGIN_S: Final = 5.0  # systemd kills the process so long after the time in which it should have ended


@dataclass(frozen=True, slots=True)
class SystemdEnvironment:
    """What systemd hands over in the environment. `listening` is None if the server opens its sockets itself."""

    manager: "ServiceManager"
    listening: Listening | None

    def close(self) -> None:
        """Close the sockets in this process."""
        if self.listening is not None:
            self.listening.close()

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "SystemdEnvironment":
        """Remove the variables from `environ`, so that no program that the server starts gets them. Raises
        `ConfigError` for sockets that cannot be served."""
        taken = {name: environ.pop(name) for name in (*_NOTIFY_VARIABLES, *_LISTEN_VARIABLES) if name in environ}
        pid = os.getpid()
        sockets = adopt_sockets(taken, pid)
        return cls(ServiceManager.named_in(taken, pid), Listening(sockets, is_adopted=True) if sockets else None)


def adopt_sockets(environ: Mapping[str, str], pid: int) -> tuple[socket.socket, ...]:
    """The sockets that were handed to this process. Programs that it starts do not inherit them.

    Raises `ConfigError` if one is no listening stream socket; all of them are closed then.
    """
    given = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not given:
        return ()
    if not _NUMBER.fullmatch(given):
        raise ConfigError([f"LISTEN_FDS: expected a number of sockets, got {given[:40]!r}"])
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    adopted: list[socket.socket] = []
    try:
        for number in range(int(given)):
            name = names[number] if number < len(names) else ""
            adopted.append(_adopt(_FIRST_DESCRIPTOR + number, name or "unknown"))
    except ConfigError:
        for each in adopted:
            each.close()
        raise
    return tuple(adopted)


def _adopt(descriptor: int, name: str) -> socket.socket:
    what = f"socket activation: descriptor {descriptor} ({name[:80]})"
    try:
        adopted = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise ConfigError([f"{what} is no socket: {os.strerror(exc.errno or 0)}"]) from exc
    if why := _problem(adopted):
        adopted.close()
        raise ConfigError([f"{what} {why}"])
    adopted.set_inheritable(False)
    prepare(adopted)
    return adopted


def _problem(adopted: socket.socket) -> str | None:
    if adopted.family not in _FAMILIES:
        return "is neither a TCP nor a unix socket"
    if adopted.type != socket.SOCK_STREAM:
        return "is no stream socket: ListenStream= makes one"
    if not adopted.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen: Accept=no hands over the socket that does"
    return None


class ServiceManager:
    """A `StatusReceiver` that notifies systemd. Without an `address` it does nothing.

    Sending never waits and never fails. Lines that could not be sent go with the next notification.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        """An abstract `address` begins with `@`. systemd ends the process if no beat comes for `watchdog_s`."""
        self.watchdog_s: Final = watchdog_s
        self.beat_s: Final = _STATUS_S if watchdog_s is None else min(_STATUS_S, watchdog_s / 2)
        self._address: Final = address
        self._unsent: dict[str, object] = {}
        self._ends_at: float | None = None

    @classmethod
    def named_in(cls, environ: Mapping[str, str], pid: int) -> "ServiceManager":
        """`WATCHDOG_USEC` counts if `WATCHDOG_PID` is this process, or is not set."""
        usec, watched = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
        is_watched = _USEC.fullmatch(usec) and watched == str(pid)
        return cls(environ.get("NOTIFY_SOCKET") or None, int(usec) / 1e6 if is_watched else None)

    def ready(self) -> None:
        self._send(READY=1)

    def reloading(self) -> None:
        self._send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def reloaded(self, problem: str) -> None:
        told = {"STATUS": ProcessStatus(reload_problem=problem)} if problem else {}  # the next beat has the figures
        self._send(READY=1, **told)

    def failed_to_start(self, problem: str) -> None:
        self._send(STATUS=f"NOT STARTED: {printable_line(problem, _STATUS_CHARS)}")

    def beat(self, status: ProcessStatus) -> None:
        alive = {} if self.watchdog_s is None else {"WATCHDOG": 1}
        if self._ends_at is None:
            self._send(STATUS=status, **alive)
        else:
            self._send(STATUS=f"draining: {status}", EXTEND_TIMEOUT_USEC=self._left_usec(self._ends_at), **alive)

    def stopping(self, within_s: float) -> None:
        """systemd leaves the process alone for that long, even if the unit's TimeoutStopSec= is shorter."""
        self._ends_at = time.monotonic() + within_s
        self._send(STOPPING=1, STATUS="draining", EXTEND_TIMEOUT_USEC=self._left_usec(self._ends_at))

    def _left_usec(self, ends_at: float) -> int:
        return round((max(0.0, ends_at - time.monotonic()) + _MARGIN_S) * 1e6)

    def _send(self, **assignments: object) -> None:
        if self._address is None:
            return
        self._unsent = {**{key: value for key, value in self._unsent.items() if key not in assignments}, **assignments}
        message = "\n".join(f"{key}={value}" for key, value in self._unsent.items())
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), address)
        except (OSError, ValueError):  # no receiver, its buffer is full, or no socket can have such an address
            return
        self._unsent = {}
