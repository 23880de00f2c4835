"""Accepts connections, with TLS or without, from a socket that several processes may listen on.

By default the process that wakes first accepts all waiting connections: of 200 connections to two workers asyncio's
servers took 134 and 66, uvloop's 166 and 34; of four workers one got a single connection. Here a worker with more
connections than another waits for some milliseconds before it accepts: 100 and 100, 50 each of four.
"""

import asyncio
import socket
from typing import Final

from aiohttp import web

from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.connection import HANDSHAKE_S, OWN_TRANSPORT, Handshakes
from aiostream_server.service.workers.share import ConnectionCounts

_WAIT_S: Final = 0.001  # per connection more than the worker with the fewest
_LONGEST_WAIT_S: Final = 0.01
_NO_DESCRIPTOR_S: Final = 1.0


class SharedSite(web.BaseSite):
    """Serves one worker's share of the connections. Closes `listening` in this process only."""

    def __init__(
        self,
        runner: web.AppRunner,
        listening: socket.socket,
        counts: ConnectionCounts,
        worker: int,
        certificate: Certificate | None = None,
        *,
        own_transport: bool = OWN_TRANSPORT,
    ) -> None:
        super().__init__(runner)
        assert runner.server is not None  # noqa: S101 - `super().__init__` raises otherwise
        self._serving: Final = runner.server
        self._certificate: Final = certificate
        self._listening: Final = listening
        self._counts: Final = counts
        self._worker: Final = worker
        self._handshakes: Final = Handshakes(certificate, runner.server) if certificate and own_transport else None
        self._opening: Final[set[asyncio.Task[object]]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._is_open = False

    @property
    def name(self) -> str:
        return f"worker {self._worker}"

    async def start(self) -> None:
        await super().start()
        self._is_open = True
        self._counts.set(self._worker, 0)
        self._listen()

    async def stop(self) -> None:
        """Accept nothing more. Accepted connections are served."""
        if self._is_open:
            self._is_open = False
            self._counts.leave(self._worker)
            self._pause()
            if self._opening:
                await asyncio.wait(self._opening)
            if self._handshakes is not None:
                await self._handshakes.finish()
            self._listening.close()
        await super().stop()

    def _listen(self) -> None:
        self._later = None
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._on_connection)

    def _pause(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listening.fileno())
        if self._later is not None:
            self._later.cancel()

    def _on_connection(self) -> None:
        self._counts.set(self._worker, self._connections())
        if (excess := self._counts.excess(self._worker)) == 0:
            self._accept()
        else:
            self._pause()
            delay_s = min(excess * _WAIT_S, _LONGEST_WAIT_S)
            self._later = asyncio.get_running_loop().call_later(delay_s, self._accept_and_listen)

    def _accept_and_listen(self) -> None:
        self._listen()
        self._accept()

    def _accept(self) -> None:
        """Accept one connection only: another worker may have to accept the next."""
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker was faster, or the client has left
        except OSError as exc:  # no descriptor is free
            asyncio.get_running_loop().call_exception_handler(
                {"message": "no connection can be accepted", "exception": exc, "socket": self._listening}
            )
            self._pause()
            self._later = asyncio.get_running_loop().call_later(_NO_DESCRIPTOR_S, self._listen)
            return
        connection.setblocking(False)
        opening = asyncio.ensure_future(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        self._counts.set(self._worker, self._connections())

    async def _open(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._certificate is not None and self._handshakes is None:
                context = self._certificate.context
                await loop.connect_accepted_socket(
                    self._serving, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
                )
            else:
                await loop.connect_accepted_socket(self._handshakes or self._serving, connection)
        except OSError:
            connection.close()  # the client has left

    def _connections(self) -> int:
        handshakes = 0 if self._handshakes is None else self._handshakes.under_way
        return len(self._opening) + handshakes + len(self._serving.connections)
