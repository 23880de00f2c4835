"""The server behind TLS, certificates for it, and a client that is no more than a TLS socket."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.service.composition import compose
from aiostream_server.service.sockets import listen
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.connection import OWN_TRANSPORT
from aiostream_server.service.workers.share import ConnectionCounts
from aiostream_server.service.workers.site import SharedSite
from aiostream_server.web.state import STATE
from tests.kit.serving import Server


@dataclass(frozen=True, slots=True)
class TlsServer(Server):
    """A server with a certificate."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate for this machine, its key, the authority that issued it, and a context that trusts only that."""

    certificate: Path
    key: Path
    authority: Path
    trusting: ssl.SSLContext


def make_files(folder: Path, name: str = "server", *names: str) -> Files:
    """For `localhost` and 127.0.0.1, and for `names`."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    made = authority.issue_cert("localhost", "127.0.0.1", *names, key_type=trustme.KeyType.ECDSA)
    files = Files(
        folder / f"{name}.pem", folder / f"{name}.key", folder / f"{name}-authority.pem", ssl.create_default_context()
    )
    authority.cert_pem.write_to_path(str(files.authority))
    authority.configure_trust(files.trusting)
    files.key.write_bytes(made.private_key_pem.bytes())
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    return files


@asynccontextmanager
async def serving_tls(
    config: Config, state_directory: Path, files: Files, *, own_transport: bool = OWN_TRANSPORT
) -> AsyncIterator[TlsServer]:
    """As `tests.kit.serving.serving`, with https."""
    app = compose(config, state_directory=state_directory)
    runner = web.AppRunner(app, handler_cancellation=True, auto_decompress=False, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        certificate = Certificate(files.certificate, files.key)
        listening = listen("127.0.0.1", 0)
        counts, port = ConnectionCounts.create(1), listening.getsockname()[1]
        await SharedSite(runner, listening, counts, 1, certificate, own_transport=own_transport).start()
        yield TlsServer(f"https://127.0.0.1:{port}", app[STATE], runner, certificate)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tls_connected(url: str, request: bytes, trusting: ssl.SSLContext) -> AsyncIterator[ssl.SSLSocket]:
    """A client that has sent `request` and reads only when a test asks it to."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)  # so small that the kernel does not read on
    plain.settimeout(5)
    await asyncio.to_thread(plain.connect, ("127.0.0.1", int(url.rpartition(":")[2])))
    client = await asyncio.to_thread(
        trusting.wrap_socket, plain, server_hostname="localhost", suppress_ragged_eofs=False
    )
    with client:
        await asyncio.to_thread(client.sendall, request)
        yield client
