"""The listening sockets."""

import os
import socket
from dataclasses import dataclass
from typing import Final

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ConfigError

BACKLOG: Final = 1024
# A client whose cable was pulled is noticed within 30 s. Nothing under way to it: after 15 s (a probe after 10 s, and
# the user timeout). Something under way: keepalive does not run then, and the user timeout counts from that write,
# which comes before the first probe would: 25 s at most.
_KEEPALIVE_IDLE_S: Final = 10
_KEEPALIVE_INTERVAL_S: Final = 5
_KEEPALIVE_PROBES: Final = 3
_USER_TIMEOUT_MS: Final = 15_000
# Left to itself, the kernel takes 4 MiB for a client that does not read, before a write is held up.
_SEND_BUFFER_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Listening:
    """Where connections come from. Adopted sockets stay open in somebody else's process when this one stops."""

    sockets: tuple[socket.socket, ...]
    is_adopted: bool = False

    def close(self) -> None:
        """Here."""
        for each in self.sockets:
            each.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses that others can reach over a network; a unix socket is reached on this machine only."""
        return tuple(each.getsockname()[0] for each in self.sockets if each.family != socket.AF_UNIX)

    def urls(self, server: ServerConfig) -> tuple[str, ...]:
        """With the ports that were bound, and the host as the configuration names it, where that counts."""
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
    """Set what connections need, which inherit it; those of a unix socket need none of it."""
    listening.setblocking(False)
    if listening.family == socket.AF_UNIX:
        return
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL_S),
        ("TCP_KEEPCNT", _KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", _USER_TIMEOUT_MS),
    ):
        if hasattr(socket, name):  # Linux has them all
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def bind(server: ServerConfig) -> Listening:
    """`listen` where the configuration says. Raises `ConfigError`."""
    try:
        return Listening((listen(server.host, server.port),))
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ConfigError([f"[server] cannot listen on {server.host} port {server.port}: {why}"]) from exc


def url_of(listening: socket.socket, host: str, *, tls: bool) -> str:
    """With the port that was bound."""
    port: int = listening.getsockname()[1]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def _path_of(listening: socket.socket) -> str:
    """An abstract one begins with `@`."""
    name: str | bytes = listening.getsockname()
    path = name if isinstance(name, str) else os.fsdecode(name)
    return "@" + path[1:] if path.startswith("\0") else path
