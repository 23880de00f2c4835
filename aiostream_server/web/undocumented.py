"""What `web` uses of aiohttp beyond its documentation. A test says what breaks when a release of aiohttp lacks it."""

from collections.abc import Callable
from typing import Final, TypeAlias

from aiohttp import web

BrokenRequest: TypeAlias = Callable[[int, BaseException | None], web.Response]
"""The status, and the parser's exception -> the answer."""

_ANSWERS: Final[web.AppKey[BrokenRequest]] = web.AppKey("broken_requests")
_by_aiohttp: Final = web.RequestHandler.handle_error


def answer_broken_requests(app: web.Application, answer: BrokenRequest) -> None:
    """Answer what aiohttp cannot parse, which it does outside of any app: other apps of the process are left as is."""
    app[_ANSWERS] = answer
    web.RequestHandler.handle_error = _handle_error  # type: ignore[method-assign, assignment]


def _handle_error(
    connection: web.RequestHandler,
    request: web.BaseRequest,
    status: int = 500,
    exc: BaseException | None = None,
    message: str | None = None,
) -> web.StreamResponse:
    """aiohttp's own answer logs the error and checks that nothing was sent. Ours replaces it in our apps."""
    answered = _by_aiohttp(connection, request, status, exc, message)
    app = getattr(getattr(connection, "_request_factory", None), "__self__", None)
    answer = app.get(_ANSWERS) if isinstance(app, web.Application) else None
    if answer is None:
        return answered
    response = answer(status, exc)
    response.force_close()
    return response


def connection_of(request: web.Request) -> web.RequestHandler:
    """The connection that the request came on: the same object for all of its requests."""
    return request.protocol


def close_connection(request: web.Request) -> None:
    """Close it once the answer is written. aiohttp by itself would read an unfinished body for ten seconds more."""
    request.protocol.force_close()


def routing_error(request: web.Request) -> web.HTTPException | None:
    """The error of a path or a method that no route has. Middlewares see it before it is raised."""
    return request.match_info.http_exception
