"""Who watches the server is told of its requests. `OBSERVER` is set by `create_app`."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from aiostream_server.errors import ClientGone, ClientStalled
from aiostream_server.observe.observer import Observer, RequestWatch
from aiostream_server.web.state import REQUEST_ID

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OBSERVER: Final[web.AppKey[Observer]] = web.AppKey("observer")
_WATCH: Final[web.RequestKey[RequestWatch]] = web.RequestKey("watch")
_UNKNOWN: Final = "unknown"


@web.middleware
async def observe_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Inside of `bind_request_id`, outside of `render_errors`: what it is told of an answer is what the client gets."""
    observer = request.app[OBSERVER]
    with observer.request(request[REQUEST_ID], request.method, _route_of(request), request.headers) as watch:
        request[_WATCH] = watch
        response = await handler(request)
        _tell_answered(request, response)  # what is no stream leaves right behind the middlewares
        return response


async def tell_answered(request: web.Request, response: web.StreamResponse) -> None:
    """`on_response_prepare`: of a stream, whose handler goes on for long."""
    _tell_answered(request, response)


def tell_gone(request: web.Request, gone: ClientGone) -> None:
    """Of a viewer that was thrown out; one that left is nothing to tell of."""
    if isinstance(gone, ClientStalled):
        request.app[OBSERVER].viewer_evicted()


def _tell_answered(request: web.Request, response: web.StreamResponse) -> None:
    watch = request.pop(_WATCH, None)
    if watch is not None:
        watch.answered(response.status, response.headers.get("X-Run-Id"))


def _route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return _UNKNOWN if resource is None else resource.canonical
