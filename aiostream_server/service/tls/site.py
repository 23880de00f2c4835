"""A listening socket with TLS for aiohttp, and the clients that have not finished their handshake.

The event loops' own TLS transports keep up to 64 KiB that a client does not read where `get_write_buffer_size` does not
show it: a write looks done that is not, and a client that closes one side without reading goes unnoticed. They also
take more memory for each connection: 290 KiB with asyncio and 23 KiB with uvloop, where `TlsConnection` takes 15 KiB.
The CPU time is the same: 0.5 ms for a handshake, 1.5 us for a write. `OWN_TRANSPORT` is the switch.
"""

import asyncio
import socket
import ssl
from typing import Final

from aiohttp import web

from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.connection import Serve, TlsConnection

OWN_TRANSPORT: Final = True
"""False serves TLS on the event loop's own transport."""

_HANDSHAKE_S: Final = 10.0
_FINISH_S: Final = 2.0
_POLL_S: Final = 0.02


class TlsSite(web.BaseSite):
    """Serves the connections of one listening socket, which it closes."""

    def __init__(
        self,
        runner: web.AppRunner,
        listening: socket.socket,
        certificate: Certificate,
        *,
        backlog: int,
        own_transport: bool = OWN_TRANSPORT,
    ) -> None:
        super().__init__(runner)
        assert runner.server is not None  # noqa: S101 - `super().__init__` raises otherwise
        self._listening: Final = listening
        self._address: Final = listening.getsockname()
        self._most_waiting: Final = backlog
        self._serve: Final = runner.server
        self._certificate: Final = certificate
        self._handshakes: Final = Handshakes(certificate, runner.server) if own_transport else None

    @property
    def name(self) -> str:
        host, port = self._address[:2]
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        await super().start()
        own = self._handshakes is not None
        self._server = await asyncio.get_running_loop().create_server(
            self._handshakes or self._serve,
            sock=self._listening,
            backlog=self._most_waiting,
            ssl=None if own else with_renewals(self._certificate),
            ssl_handshake_timeout=None if own else _HANDSHAKE_S,
        )

    async def stop(self) -> None:
        """Accept no more connections. Those that were accepted are served."""
        await super().stop()
        if self._handshakes is not None:
            await self._handshakes.finish()


class Handshakes:
    """A protocol factory for `create_server`: its protocols speak TLS, and give the plain text to those of `serve`."""

    def __init__(self, certificate: Certificate, serve: Serve, *, within_s: float = _HANDSHAKE_S) -> None:
        self._certificate: Final = certificate
        self._serve: Final = serve
        self._within_s: Final = within_s
        self._under_way: Final[set[TlsConnection]] = set()

    def __call__(self) -> TlsConnection:
        return TlsConnection(self._certificate.context, self._serve, self._under_way, within_s=self._within_s)

    @property
    def under_way(self) -> int:
        """How many clients have not finished their handshake."""
        return len(self._under_way)

    async def finish(self) -> None:
        """Wait for the handshakes under way, and abort those that take longer than 2 s."""
        try:
            async with asyncio.timeout(_FINISH_S):
                while self._under_way:  # noqa: ASYNC110 - connections signal nothing
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            for connection in tuple(self._under_way):
                connection.abort()


def with_renewals(certificate: Certificate) -> ssl.SSLContext:
    """A context for the event loop's transport: each handshake takes the certificate that was read last."""

    def renew(connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = certificate.context

    context = certificate.context
    context.sni_callback = renew
    return context
