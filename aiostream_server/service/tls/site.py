"""aiohttp's `SockSite`, with TLS as it is done here."""

import asyncio
import socket
from typing import Final

from aiohttp import web

from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.handshakes import Handshakes


class TlsSite(web.BaseSite):
    """Serves the connections of one listening socket, which it closes."""

    def __init__(
        self, runner: web.AppRunner, listening: socket.socket, certificate: Certificate, *, backlog: int
    ) -> None:
        super().__init__(runner)
        self._most_waiting: Final = backlog
        assert runner.server is not None  # noqa: S101 - the base class has seen to it
        self._listening: Final = listening
        self._address: Final = listening.getsockname()
        self._handshakes: Final = Handshakes(certificate, runner.server)

    @property
    def name(self) -> str:
        host, port = self._address[:2]
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._handshakes, sock=self._listening, backlog=self._most_waiting)

    async def stop(self) -> None:
        """Take nothing more. Whoever was let in is served."""
        await super().stop()
        await self._handshakes.finish()
