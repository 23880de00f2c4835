"""`GET /metrics`: what Prometheus reads.

With a key of its own, or without one where the server has no keys and serves its own machine only. Not for web pages:
`web.cors` says nothing of it.
"""

from typing import Final, Protocol

from aiohttp import web

from aiostream_server.intake.loopback import check_local_host
from aiostream_server.intake.principal import authenticate
from aiostream_server.web.state import state_of


class Exposition(Protocol):
    def render(self, accept: str) -> tuple[bytes, str]:
        """All figures, in the format that this `Accept` asks for; and its content type."""
        ...


METRICS: Final[web.AppKey[Exposition]] = web.AppKey("metrics")
"""Set by whoever counts; else there is nothing here."""

PATHS: Final = ("/metrics", "/api/metrics")


async def read_metrics(request: web.Request) -> web.Response:
    if METRICS not in request.app:
        raise web.HTTPNotFound
    state = state_of(request)
    check_local_host(request.headers, state.keys, request.version)
    authenticate(request.headers, state.keys, "metrics")
    return answer(request, request.app[METRICS])


def answer(request: web.Request, exposition: Exposition) -> web.Response:
    """To whoever may read it."""
    body, content_type = exposition.render(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})
