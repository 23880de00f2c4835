"""Who is calling. Asked by every handler but those that tell whether the server lives."""

from aiohttp import web

from aiostream_server.intake.loopback import check_local_host
from aiostream_server.intake.principal import Principal, authenticate
from aiostream_server.web.state import STATE


def caller_of(request: web.Request) -> Principal:
    """Raise `Unauthorized`; or `Forbidden` where no keys exist and a web page may be the caller."""
    keys = request.app[STATE].keys
    check_local_host(request.headers, keys)
    return authenticate(request.headers, keys)
