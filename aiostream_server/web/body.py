"""The whole body of a request, before anything is answered: capped in size and in time."""

from aiohttp import StreamReader, web

from aiostream_server.errors import BodyTooLarge
from aiostream_server.web.traffic import TRAFFIC


async def read_body(request: web.Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """Raise `BodyTooLarge`, `RequestTimeout`, where aiohttp by itself would wait for ever, or `ShuttingDown`."""
    if request.content_length is not None and request.content_length > max_bytes:
        raise _too_large(max_bytes)
    traffic = request.app[TRAFFIC]
    traffic.check_taken()
    if request.content.is_eof():  # it came together with its headers, as short ones do
        return await _read_whole(request.content, max_bytes)
    async with traffic.receiving(timeout_s):
        return await _read_whole(request.content, max_bytes)


async def _read_whole(content: StreamReader, max_bytes: int) -> bytes:
    """`request.read()` would keep the body for as long as it is answered."""
    parts: list[bytes] = []
    size_bytes = 0
    while part := await content.readany():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
    return b"".join(parts)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {max_bytes} bytes")
