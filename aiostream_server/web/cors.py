"""Web pages of other origins that may call the server from a browser. https://fetch.spec.whatwg.org/#http-cors-protocol

No CORS header is sent where `[server] cors_origins` is empty. A page is allowed by its origin, and needs a key where
keys exist. Cookies play no part, so `Access-Control-Allow-Credentials` is never sent. Pages of other origins get no
CORS headers, so their browser withholds the answer from them.

Without keys, `intake.loopback` and the JSON content type keep pages out. A page of an allowed origin can send JSON,
because its browser's preflight request is answered here.
"""

import re
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from aiostream_server.web.health import METRICS_PATHS
from aiostream_server.web.state import Handler
from aiostream_server.web.undocumented import routing_error

ORIGINS: Final[web.AppKey[frozenset[str]]] = web.AppKey("origins")

_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, X-API-Key, X-User-ID, X-Conversation-Id, X-Presentation, Idempotency-Key,"
    " Last-Event-ID, X-Request-ID"
)
_RESPONSE_HEADERS: Final = (
    "X-Run-Id, X-Request-ID, Retry-After, x-should-retry, Location, Idempotent-Replayed,"
    " Mcp-Session-Id, x-vercel-ai-ui-message-stream"
)
_MAX_AGE_S: Final = "7200"  # Chrome remembers no longer: its own limit
_HEADER_NAMES: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_DEFAULT_PORT: Final = re.compile(r"(?<=^http)(://.*):80$|(?<=^https)(://.*):443$")


def allow_origins(app: web.Application, origins: Iterable[str]) -> None:
    """Call this before the app starts, and after its other middlewares are added."""
    app[ORIGINS] = frozenset(map(_as_browsers_send, origins))
    if app[ORIGINS]:
        app.middlewares.append(answer_preflight)
        app.on_response_prepare.append(add_cors_headers)


def is_allowed_page(request: web.Request) -> bool:
    """Whether a page of an allowed origin sent it: a page cannot choose the `Origin` that its browser sends.

    No page may read /metrics.
    """
    return request.path not in METRICS_PATHS and request.headers.get("Origin") in request.app[ORIGINS]


@web.middleware
async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A browser asks, without a key, before it sends what a plain form could not.

    By then routing has found the path and its methods; an unknown path is answered as such.
    """
    refusal = routing_error(request)
    if isinstance(refusal, web.HTTPMethodNotAllowed) and _is_preflight(request) and is_allowed_page(request):
        return web.Response(status=204, headers=_permission(request, refusal.allowed_methods))
    return await handler(request)


async def add_cors_headers(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`, so that streams and errors have them, too."""
    response.headers.add("Vary", "Origin")
    if is_allowed_page(request):
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = _RESPONSE_HEADERS


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _permission(request: web.Request, methods: Iterable[str]) -> dict[str, str]:
    """An allowed page may send every header that it asks for."""
    asked = request.headers.get("Access-Control-Request-Headers", "")
    headers = f"{_REQUEST_HEADERS}, {asked}" if _HEADER_NAMES.fullmatch(asked) else _REQUEST_HEADERS
    permission = {
        "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
        "Access-Control-Allow-Headers": headers,
        "Access-Control-Max-Age": _MAX_AGE_S,
    }
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        # Chrome, for a page of the internet that calls a private address: https://wicg.github.io/private-network-access/
        permission["Access-Control-Allow-Private-Network"] = "true"
    return permission


def _as_browsers_send(origin: str) -> str:
    """The origin in lower case, without the scheme's default port: https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin"""
    return _DEFAULT_PORT.sub(lambda match: match[1] or match[2], origin.lower())
