"""The whole body of a request, before anything is answered: capped in size and in time."""

import asyncio

from aiohttp import web

from aiostream_server.errors import BodyTooLarge, RequestTimeout


async def read_body(request: web.Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Raise `BodyTooLarge` or `RequestTimeout`; aiohttp by itself would wait for ever."""
    too_large = BodyTooLarge(f"the body is larger than {max_bytes} bytes")
    if request.content_length is not None and request.content_length > max_bytes:
        raise too_large
    try:
        async with asyncio.timeout(timeout_s):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise too_large from exc
    except TimeoutError as exc:
        raise RequestTimeout(f"the body did not arrive within {timeout_s:g} s") from exc
