"""Around every handler: a request id, and errors in OpenAI's shape."""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.errors import ServerError
from aiostream_server.web.state import REQUEST_ID
from aiostream_server.wire.completion import error_body

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SAFE_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_RETRY_AFTER_S: Final = "1"

_log = structlog.get_logger()


@web.middleware
async def bind_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The caller's `X-Request-ID` where it is harmless, else one of ours; every log line of the request carries it."""
    sent = request.headers.get("X-Request-ID", "")
    request_id = sent if _SAFE_ID.fullmatch(sent) else f"req-{secrets.token_hex(12)}"
    request[REQUEST_ID] = request_id
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        return await handler(request)


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: streams send their headers long before a middleware could add one."""
    if REQUEST_ID in request:
        response.headers["X-Request-ID"] = request[REQUEST_ID]


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever fails before the headers are sent becomes a JSON error with its own status."""
    try:
        return await handler(request)
    except ServerError as exc:
        return _error_response(exc, exc.status)
    except web.HTTPException as exc:
        if exc.status < 400:  # a redirect is no error
            raise
        response = _error_response(_AsServerError(exc, request), exc.status)
        if "Allow" in exc.headers:
            response.headers["Allow"] = exc.headers["Allow"]
        return response
    except Exception:
        _log.exception("request_failed", path=request.path)
        return _error_response(ServerError("the server failed; its log says why, under the request id"), 500)


class _AsServerError(ServerError):
    """What aiohttp raises by itself: no such path, no such method."""

    code, type = "not_found", "invalid_request_error"

    def __init__(self, exc: web.HTTPException, request: web.Request) -> None:
        super().__init__(f"{request.method} {request.path}: {exc.reason.lower()}")


def _error_response(error: ServerError, status: int) -> web.Response:
    headers = {"Retry-After": _RETRY_AFTER_S} if status in (429, 503) else None
    return web.json_response(error_body(error), status=status, headers=headers)
