"""Around every handler: a request id, and errors in OpenAI's shape."""

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.errors import MethodNotAllowed, NotFound, RequestTimeout, ServerError
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.state import REQUEST_ID
from aiostream_server.wire.completion import error_body

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SAFE_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_RETRY_AFTER_S: Final = "1"
_PATH_CHARS: Final = 200


@web.middleware
async def bind_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The caller's `X-Request-ID` where it is harmless, else one of ours; every log line of the request carries it."""
    sent = request.headers.get("X-Request-ID", "")
    request_id = sent if _SAFE_ID.fullmatch(sent) else f"req-{secrets.token_hex(12)}"
    request[REQUEST_ID] = request_id
    structlog.contextvars.bind_contextvars(request_id=request_id)  # in a context of its own: see `caller`
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
    except RequestTimeout as exc:
        return await _answer_and_hang_up(request, _error_response(exc, exc.status))
    except ServerError as exc:
        return _error_response(exc, exc.status)
    except web.HTTPNotFound:
        return _error_response(NotFound(f"there is no {_shown_path(request)}"), 404)
    except web.HTTPMethodNotAllowed as exc:
        allowed = ",".join(sorted(exc.allowed_methods))
        error = MethodNotAllowed(f"{request.method} is not what {_shown_path(request)} is for, but {allowed}")
        response = _error_response(error, error.status)
        response.headers["Allow"] = allowed
        return response
    except Exception as exc:
        log_bug("request_failed", exc)
        return _error_response(ServerError("the server failed; its log says why, under the request id"), 500)


def _shown_path(request: web.Request) -> str:
    """As it was sent: escaped, so one line."""
    return request.rel_url.raw_path[:_PATH_CHARS]


def _error_response(error: ServerError, status: int) -> web.Response:
    headers = {"Retry-After": _RETRY_AFTER_S} if status in (429, 503) else None
    return web.json_response(error_body(error), status=status, headers=headers)


async def _answer_and_hang_up(request: web.Request, response: web.Response) -> web.Response:
    """For a body that does not end: aiohttp by itself would go on reading it for ten seconds more."""
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    request.protocol.force_close()
    return response
