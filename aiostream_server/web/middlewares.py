"""Around every handler: a request id, the observer, errors in the words of the route's protocol."""

import math
import re
import secrets
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog
from aiohttp import web

from aiostream_server.errors import (
    ClientGone,
    ClientStalled,
    Forbidden,
    MethodNotAllowed,
    ModelFailed,
    NotFound,
    RequestTimeout,
    ServerError,
    TeamFailed,
    Unauthorized,
    error_for,
)
from aiostream_server.intake.loopback import is_loopback
from aiostream_server.observe.observer import Observer, RequestWatch
from aiostream_server.present.page_errors import in_plain_words
from aiostream_server.protocols.chat.errors import refusal as chat_refusal
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.http_errors import advice_on
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.state import REQUEST_ID, STATE, Handler
from aiostream_server.web.undocumented import close_connection

Refusal: TypeAlias = Callable[[ServerError], tuple[int, bytes]]

REFUSALS: Final[web.AppKey[dict[web.AbstractRoute, Refusal]]] = web.AppKey("refusals")
"""How each route's protocol renders errors. Other routes, and paths without one, render them as the chat protocol."""
REFUSAL: Final[web.RequestKey[Refusal]] = web.RequestKey("refusal")
"""How errors of one request are rendered, once that is known: JSON-RPC repeats the id of the request."""
OBSERVER: Final[web.AppKey[Observer]] = web.AppKey("observer")

RUN_HEADERS: Final[web.RequestKey[Mapping[str, str]]] = web.RequestKey("run_headers")
"""The headers of every answer about the run that the request started; errors have them, too."""

IS_PAGE: Final[web.RequestKey[bool]] = web.RequestKey("is_page")
"""Whether a user reads the errors: then they are worded for one."""

_WATCH: Final[web.RequestKey[RequestWatch]] = web.RequestKey("watch")
_UNKNOWN_ROUTE: Final = "unknown"
_SAFE_ID: Final = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_RETRY_AFTER_S: Final = 1.0  # where the wait is not known: until a run ends, or another process serves
_PATH_CHARS: Final = 200


@web.middleware
async def bind_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take the caller's `X-Request-ID` where it is harmless, or make one; every log line of the request carries it."""
    sent = request.headers.get("X-Request-ID", "")
    request_id = sent if _SAFE_ID.fullmatch(sent) else f"req-{secrets.token_hex(12)}"
    request[REQUEST_ID] = request_id
    structlog.contextvars.bind_contextvars(request_id=request_id)  # each request has a context of its own: see `caller`
    return await handler(request)


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: a stream sends its headers long before a middleware could add one."""
    if REQUEST_ID in request:
        response.headers["X-Request-ID"] = request[REQUEST_ID]


@web.middleware
async def observe_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Between `bind_request_id` and `render_errors`, so that the observer sees the answer that the client gets."""
    observer = request.app[OBSERVER]
    observed = observer.request(request[REQUEST_ID], request.method, _route_of(request), request.headers)
    with UntilWritten(observed) as until:
        request[_WATCH] = until.entered
        response = await handler(request)
        _report_answer(request, response)
        return until.written(response)


async def report_stream(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: report a stream when it begins, for its handler may go on for long."""
    _report_answer(request, response)


def report_gone(request: web.Request, gone: ClientGone) -> None:
    """Report a viewer that was evicted. One that left by itself is not reported."""
    if isinstance(gone, ClientStalled):
        request.app[OBSERVER].viewer_evicted()


def _report_answer(request: web.Request, response: web.StreamResponse) -> None:
    watch = request.pop(_WATCH, None)
    if watch is not None:
        watch.answered(response.status, response.headers.get("X-Run-Id"))


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return _UNKNOWN_ROUTE if resource is None else resource.canonical


@web.middleware
async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what is raised before the headers are sent into an error with its own status."""
    try:
        return await handler(request)
    except RequestTimeout as exc:
        return await _answer_and_hang_up(request, _error_response(request, exc))
    except ServerError as exc:
        return _error_response(request, exc)
    except web.HTTPNotFound:
        advice = advice_on(request.rel_url.raw_path)
        return _error_response(request, NotFound(f"there is no {_shown_path(request)}: {advice}"))
    except web.HTTPMethodNotAllowed as exc:
        allowed = ",".join(sorted(exc.allowed_methods))
        error = MethodNotAllowed(f"{request.method} is not what {_shown_path(request)} is for, but {allowed}")
        response = _error_response(request, error)
        response.headers["Allow"] = allowed
        return response
    except Exception as exc:
        log_bug("request_failed", exc)
        return _error_response(request, bug())


def bug() -> ServerError:
    """What a client is told of a bug."""
    return ServerError("the server failed; its log says why, under the request id")


def _shown_path(request: web.Request) -> str:
    """The path as it was sent: escaped, so one line."""
    return request.rel_url.raw_path[:_PATH_CHARS]


def _error_response(request: web.Request, error: ServerError) -> web.Response:
    render = request.get(REFUSAL) or request.app[REFUSALS].get(request.match_info.route, chat_refusal)
    status, body = render(_in_plain_words(error) if request.get(IS_PAGE, False) else error)
    headers = {**request.get(RUN_HEADERS, {}), **_advice(error)}
    return web.Response(body=body, status=status, headers=headers, content_type="application/json", charset="utf-8")


def _in_plain_words(error: ServerError) -> ServerError:
    lasting = isinstance(error, ModelFailed) and error.is_lasting
    told = in_plain_words(error.code, str(error), retry_after_s=error.retry_after_s, lasting=lasting)
    plain = error_for(error.code, told)
    plain.param = error.param
    return plain


def _advice(error: ServerError) -> dict[str, str]:
    """When to ask again, whether a client library may do that by itself, and how to send a key.

    A 401 has to name a scheme: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2
    The `openai` packages read `x-should-retry`. They would repeat a whole run after every 429 and 5xx.
    """
    wait_s = error.retry_after_s
    if wait_s is not None and error.at is not None:
        wait_s -= time.time() - error.at
    elif wait_s is None and error.is_passing and error.status in (429, 503):
        wait_s = _RETRY_AFTER_S
    advice = {} if wait_s is None or not math.isfinite(wait_s) else {"Retry-After": str(max(math.ceil(wait_s), 0))}
    if not error.is_passing and (isinstance(error, TeamFailed) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR):
        advice["x-should-retry"] = "false"
    if isinstance(error, Unauthorized):
        advice["WWW-Authenticate"] = "Bearer"
    return advice


async def _answer_and_hang_up(request: web.Request, response: web.Response) -> web.Response:
    """Answer a request with a body that does not end, and close the connection."""
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    close_connection(request)
    return response


@web.middleware
async def refuse_other_machines(request: web.Request, handler: Handler) -> web.StreamResponse:
    """For a program that embeds the server and binds any address: without keys, refuse peers on other machines.

    The server itself binds only a loopback address where it has no keys. A peer on a Unix socket is on this machine.
    """
    peer = request.get_extra_info("peername")
    if (
        isinstance(peer, tuple)
        and not request.app[STATE].state.keys
        and not is_loopback(str(peer[0]).partition("%")[0])
    ):
        raise Forbidden("without API keys ([auth] keys_file) only this machine is answered")
    return await handler(request)
