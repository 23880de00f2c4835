"""Listening sockets that a service manager has opened: they stay open while one server goes and the next one comes.

https://www.freedesktop.org/software/systemd/man/252/sd_listen_fds.html
"""

import os
import re
import socket
from collections.abc import Mapping
from typing import Final

from aiostream_server.errors import ConfigError
from aiostream_server.service.sockets import prepare

VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_FIRST: Final = 3
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def adopt(environ: Mapping[str, str], pid: int) -> tuple[socket.socket, ...]:
    """The sockets that were handed to this process; no program that it starts gets them.

    Raises `ConfigError` where one is no listening stream socket; all are closed then.
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
            adopted.append(_adopt(_FIRST + number, name or "unknown"))
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
