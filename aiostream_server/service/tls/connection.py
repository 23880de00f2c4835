"""One client's TLS: OpenSSL between its socket's transport and the protocol that serves it.

The event loops' own TLS transports keep up to 64 KiB that a client does not read where `get_write_buffer_size` does not
show it: a write looks done that is not, and a client that closes one side without reading goes unnoticed. They also
take more memory for each connection: 290 KiB with asyncio and 23 KiB with uvloop, where `TlsConnection` takes 15 KiB.
The CPU time is the same: 0.5 ms for a handshake, 1.5 us for a write. `OWN_TRANSPORT` is the switch.

Encrypting does not wait, so each write is in the socket's transport when it returns. The state of that transport (how
much it still holds, that writing must pause, that the peer has gone) is therefore true for the plain text, too.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias, cast

from aiostream_server.errors import InvalidRequest
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.service.tls.certificate import Certificate

OWN_TRANSPORT: Final = True
"""False serves TLS on the event loop's own transport."""
HANDSHAKE_S: Final = 10.0
_FINISH_S: Final = 2.0
_POLL_S: Final = 0.02
_READ_BYTES: Final = 16 * 1024  # the size of a record; OpenSSL never returns more at once

Serve: TypeAlias = Callable[[], asyncio.Protocol]
"""Makes the protocol that receives the plain text."""


class TlsConnection(asyncio.Protocol):
    """Calls `serve` after the handshake. Until then it is in `shaking_hands`, for at most `within_s`."""

    def __init__(
        self, context: ssl.SSLContext, serve: Serve, shaking_hands: set["TlsConnection"], *, within_s: float
    ) -> None:
        self._incoming: Final = ssl.MemoryBIO()
        self._outgoing: Final = ssl.MemoryBIO()
        self._tls: Final = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._serve: Final = serve
        self._shaking_hands: Final = shaking_hands
        self._within_s: Final = within_s
        self._serving: asyncio.Protocol | None = None
        self._is_reading = True
        self._is_write_paused = False
        self._transport: asyncio.Transport
        self._patience: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._shaking_hands.add(self)
        self._patience = asyncio.get_running_loop().call_later(self._within_s, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._serving is None and not self._shake_hands():
                return
            self._pass_on()
        except ssl.SSLError as exc:
            self._refuse(exc)

    def eof_received(self) -> None:
        """The transport closes itself."""
        if self._serving is not None:
            self._serving.eof_received()

    def pause_writing(self) -> None:
        self._is_write_paused = True
        if self._serving is not None:
            self._serving.pause_writing()

    def resume_writing(self) -> None:
        self._is_write_paused = False
        if self._serving is not None:
            self._serving.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        if self._serving is not None:
            self._serving.connection_lost(exc)

    def abort(self) -> None:
        self._transport.abort()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        self._send()

    def say_goodbye(self) -> None:
        """Send the end of the TLS stream, so that the client can tell a complete answer from a cut connection."""
        with suppress(ssl.SSLError):  # the client has not sent its own end, and need not
            self._tls.unwrap()
        self._send()

    def pause_reading(self) -> None:
        self._is_reading = False
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Passes on what was decrypted meanwhile first."""
        if not self._is_reading:
            self._is_reading = True
            asyncio.get_running_loop().call_soon(self._go_on_reading)

    @property
    def is_reading(self) -> bool:
        return self._is_reading

    @property
    def tls(self) -> ssl.SSLObject:
        return self._tls

    def _go_on_reading(self) -> None:
        if self._transport.is_closing():
            return
        self.data_received(b"")
        if self._is_reading:
            self._transport.resume_reading()

    def _shake_hands(self) -> bool:
        """Whether the handshake is complete."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return False
        self._send()
        self._settle()
        serving = self._serving = self._serve()
        serving.connection_made(TlsTransport(self, self._transport))
        if self._is_write_paused:
            serving.pause_writing()
        return True

    def _pass_on(self) -> None:
        assert self._serving is not None  # noqa: S101 - after the handshake
        try:
            while self._is_reading and not self._transport.is_closing():
                if not (data := self._tls.read(_READ_BYTES)):
                    break
                self._serving.data_received(data)
        except ssl.SSLWantReadError:
            self._send()  # for example a key update
            return
        except ssl.SSLZeroReturnError:
            pass
        if self._is_reading and not self._transport.is_closing():  # the client has sent its end of the TLS stream
            self._serving.eof_received()
            self._transport.close()

    def _refuse(self, exc: ssl.SSLError) -> None:
        """Close a connection with invalid data: after OpenSSL's alert, or after a plain text answer to plain HTTP."""
        if self._serving is None and exc.reason == "HTTP_REQUEST":
            self._outgoing.read()
            self._transport.write(_speak_tls())
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _settle(self) -> None:
        self._patience.cancel()
        self._shaking_hands.discard(self)


class TlsTransport(asyncio.Transport):
    """The transport of the serving protocol. Its sizes and limits count cipher text: 22 bytes more for each 16 KiB."""

    def __init__(self, connection: TlsConnection, transport: asyncio.Transport) -> None:
        super().__init__()
        self._connection: Final = connection
        self._transport: Final = transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._transport.is_closing():
            return
        try:
            self._connection.write(data)
        except ssl.SSLError:
            self._transport.abort()

    def close(self) -> None:
        if not self._transport.is_closing():
            self._connection.say_goodbye()
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def is_reading(self) -> bool:
        return self._connection.is_reading

    def pause_reading(self) -> None:
        self._connection.pause_reading()

    def resume_reading(self) -> None:
        self._connection.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # as asyncio declares it
        match name:
            case "sslcontext":
                return self._connection.tls.context
            case "ssl_object":
                return self._connection.tls
            case _:
                return self._transport.get_extra_info(name, default)


class Handshakes:
    """A protocol factory for `create_server`: its protocols speak TLS, and give the plain text to those of `serve`."""

    def __init__(self, certificate: Certificate, serve: Serve, *, within_s: float = HANDSHAKE_S) -> None:
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


def _speak_tls() -> bytes:
    """The answer to a request in plain HTTP."""
    _, body = refusal(InvalidRequest("this port speaks HTTPS: ask for https://"))
    head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
