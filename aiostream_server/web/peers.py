"""For a program that embeds the server and listens where it likes.

The server by itself binds a loopback address only where no keys protect it. Where others bind, whoever is at the other
end of a connection is looked at.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from aiostream_server.errors import Forbidden
from aiostream_server.intake.loopback import is_loopback
from aiostream_server.web.state import STATE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def refuse_other_machines(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise `Forbidden` for a peer on another machine, where there are no keys. Who comes by a Unix socket is here."""
    peer = request.get_extra_info("peername")
    if (
        isinstance(peer, tuple)
        and not request.app[STATE].state.keys
        and not is_loopback(str(peer[0]).partition("%")[0])
    ):
        raise Forbidden("without API keys ([auth] keys_file) only this machine is answered")
    return await handler(request)
