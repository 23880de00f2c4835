"""The listening socket."""

import os
import socket
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


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; accepted sockets inherit the options. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
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
    listening.setblocking(False)
    return listening


def bind(server: ServerConfig) -> socket.socket:
    """`listen` where the configuration says. Raises `ConfigError`."""
    try:
        return listen(server.host, server.port)
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ConfigError([f"[server] cannot listen on {server.host} port {server.port}: {why}"]) from exc


def url_of(listening: socket.socket, host: str) -> str:
    """With the port that was bound."""
    port: int = listening.getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
