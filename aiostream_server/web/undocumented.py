"""What `web` uses of aiohttp beyond its documentation. A test says what breaks when a release of aiohttp lacks it."""

from aiohttp import web


def connection_of(request: web.Request) -> web.RequestHandler:
    """The connection that the request came on: the same object for all of its requests."""
    return request.protocol


def close_connection(request: web.Request) -> None:
    """Close it once the answer is written. aiohttp by itself would read an unfinished body for ten seconds more."""
    request.protocol.force_close()


def routing_error(request: web.Request) -> web.HTTPException | None:
    """The error of a path or a method that no route has. Middlewares see it before it is raised."""
    return request.match_info.http_exception
