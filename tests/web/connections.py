"""What a server holds for its clients, seen from inside."""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Sequence

from aiohttp import web

from aiostream_server.intake.principal import Owner
from aiostream_server.runs.run import Run
from tests.kit.runs import runs_in
from tests.kit.serving import Server


def the_run(server: Server) -> Run:
    (run,) = runs_in(server.state.registry, Owner())
    return run


def kept_for(transport: asyncio.Transport) -> int:
    """What a connection's client has not taken: in the process and in the kernel, headers of packets not counted."""
    unsent = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return transport.get_write_buffer_size() + int(struct.unpack("i", unsent)[0])


def transports(server: Server) -> Sequence[asyncio.Transport]:
    assert isinstance(server.runner.server, web.Server)
    return [protocol.transport for protocol in server.runner.server.connections if protocol.transport is not None]
