"""TLS connections to Redis that share one context.

redis-py makes a context for each connection and reads all of the system's certificates for it: on the event loop, for
10 to 130 ms, and for each of a pool's connections after a failover.
"""

import socket
import ssl
from pathlib import Path
from typing import Any, Final

from redis.asyncio import SSLConnection as AsyncSSLConnection
from redis.connection import SSLConnection

from aiostream_server.config.redis_url import RedisUrl


class TlsContext:
    """Made anew where one of its files has changed: certificates are renewed while the server runs."""

    def __init__(self, url: RedisUrl) -> None:
        self._url: Final = url
        self._versions: tuple[int, ...] | None = None
        self._context: ssl.SSLContext | None = None

    def get(self) -> ssl.SSLContext:
        """Reads files, perhaps for a while. Raises `OSError`, of which `ssl.SSLError` is one."""
        versions = tuple(Path(path).stat().st_mtime_ns for path in self._url.tls_files.values())
        if self._context is None or versions != self._versions:
            self._context, self._versions = self._make(), versions
        return self._context

    @property
    def latest(self) -> ssl.SSLContext:
        """The last one that `get` has returned."""
        return self._context or self.get()

    def _make(self) -> ssl.SSLContext:
        url, files = self._url, self._url.tls_files
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        context.check_hostname = url.checks_hostname
        context.verify_mode = ssl.CERT_REQUIRED if url.checks_certificate else ssl.CERT_NONE
        if certificate := files.get("ssl_certfile"):
            context.load_cert_chain(certificate, files.get("ssl_keyfile"))
        return context


class AsyncTlsConnection(AsyncSSLConnection):  # type: ignore[misc] # mypy does not read redis-py: its classes are `Any`
    """For the event loop."""

    def __init__(self, *, context: ssl.SSLContext, **arguments: Any) -> None:  # those of redis-py's class
        super().__init__(**arguments)
        self.ssl_context.context = context


class SyncTlsConnection(SSLConnection):  # type: ignore[misc] # as above
    """For a thread."""

    def __init__(self, *, context: ssl.SSLContext, **arguments: Any) -> None:  # those of redis-py's class
        super().__init__(**arguments)
        self._context: Final = context

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return self._context.wrap_socket(sock, server_hostname=self.host)
