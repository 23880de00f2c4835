"""Who is let in: connections from the moment they are accepted until they are aiohttp's."""

import asyncio
from typing import Final

from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.connection import Serve, TlsConnection

_FINISH_S: Final = 2.0
_POLL_S: Final = 0.02


class Handshakes:
    """A protocol factory, for `create_server`: what it makes speaks TLS and gives the plain text to `serve`'s."""

    def __init__(self, certificate: Certificate, serve: Serve, *, within_s: float = 10.0) -> None:
        self._certificate: Final = certificate
        self._serve: Final = serve
        self._within_s: Final = within_s
        self._under_way: Final[set[TlsConnection]] = set()

    def __call__(self) -> TlsConnection:
        return TlsConnection(self._certificate.context, self._serve, self._under_way, within_s=self._within_s)

    @property
    def under_way(self) -> int:
        """How many clients have yet to prove that they speak TLS."""
        return len(self._under_way)

    async def finish(self) -> None:
        """No more of them come. Those that take longer than 2 s are broken off."""
        try:
            async with asyncio.timeout(_FINISH_S):
                while self._under_way:  # noqa: ASYNC110 - connections tell nobody
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            for connection in tuple(self._under_way):
                connection.abort()
