"""The whole body of a request, before anything is answered: capped in size and in time."""

from aiohttp import web

from aiostream_server.errors import BodyTooLarge
from aiostream_server.web.traffic import TRAFFIC


async def read_body(request: web.Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Raise `BodyTooLarge`, `RequestTimeout`, where aiohttp by itself would wait for ever, or `ShuttingDown`."""
    too_large = BodyTooLarge(f"the body is larger than {max_bytes} bytes")
    if request.content_length is not None and request.content_length > max_bytes:
        raise too_large
    try:
        async with request.app[TRAFFIC].receiving(timeout_s):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise too_large from exc
