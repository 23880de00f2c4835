"""Listening sockets: opened here, or adopted from systemd."""

import errno
import os
import socket
from dataclasses import dataclass
from typing import Final

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ConfigError

BACKLOG: Final = 1024
# A client with a pulled cable is noticed within 30 s. If nothing is being sent to it, after 15 s: a probe after 10 s
# and the user timeout. Otherwise keepalive does not run, and the user timeout counts from the last write: 25 s at most.
_KEEPALIVE_IDLE_S: Final = 10
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_PROBES: Final = 3
_USER_TIMEOUT_MS: Final = 15_000
# The kernel's default would buffer 4 MiB for a client that does not read, before a write has to wait.
_SEND_BUFFER_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Listening:
    """Adopted sockets stay open in systemd when this process stops."""

    sockets: tuple[socket.socket, ...]
    is_adopted: bool = False

    def close(self) -> None:
        """Close them in this process."""
        for each in self.sockets:
            each.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of the sockets that can be reached over a network; unix sockets cannot."""
        return tuple(each.getsockname()[0] for each in self.sockets if each.family != socket.AF_UNIX)

    def urls(self, server: ServerConfig) -> tuple[str, ...]:
        """The base URLs with the bound ports. The host is the configuration's, unless sockets are adopted."""
        tls = server.tls_certificate is not None
        if not self.is_adopted:
            return tuple(url_of(each, server.host, tls=tls) for each in self.sockets)
        return tuple(
            f"http{'s' if tls else ''}://unix:{_path_of(each)}:"
            if each.family == socket.AF_UNIX
            else url_of(each, each.getsockname()[0], tls=tls)
            for each in self.sockets
        )


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    prepare(listening)
    return listening


def prepare(listening: socket.socket) -> None:
    """Set the options that accepted connections inherit. Unix sockets need none of them."""
    listening.setblocking(False)
    if listening.family == socket.AF_UNIX:
        return
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


def bind(server: ServerConfig) -> Listening:
    """Listen at the address of the configuration. Raises `ConfigError`."""
    try:
        return Listening((listen(server.host, server.port),))
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        if exc.errno == errno.EADDRINUSE:
            why += "; end what listens there, or set another port (AIOSTREAM_SERVER__PORT does, too)"
        raise ConfigError([f"[server] cannot listen on {server.host} port {server.port}: {why}"]) from exc


def url_of(listening: socket.socket, host: str, *, tls: bool) -> str:
    """The base URL, with the port that was bound."""
    port: int = listening.getsockname()[1]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def _path_of(listening: socket.socket) -> str:
    """An abstract address begins with `@`, as systemd writes it."""
    name: str | bytes = listening.getsockname()
    path = name if isinstance(name, str) else os.fsdecode(name)
    return "@" + path[1:] if path.startswith("\0") else path
