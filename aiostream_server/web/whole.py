"""An answer that is not streamed: one JSON body at the end of the run.

Node.js gives up on a server that sends no headers for 300 s. So after `whole_heartbeat_s` the headers go out, and white
space, which JSON allows before a value, keeps the connection. A failure after that has no status of its own any more:
the body is the error.

aiohttp gives a whole body to the transport, which copies it, and waits without a deadline until the client has read it.
So a long body is written in pieces, and a client that reads none of it is evicted, as from a stream.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

from aiohttp import web

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ClientGone, ServerError
from aiostream_server.log.protocol import Reader
from aiostream_server.protocols.dialect import Collector
from aiostream_server.sse.heartbeat import Heartbeat
from aiostream_server.sse.writer import SseWriter
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.middlewares import Refusal, bug
from aiostream_server.web.stream import lasting_response, leave_client

_AT_ONCE_BYTES: Final = 64 * 1024
_JSON: Final = "application/json"
_HEADERS: Final = {
    "Content-Type": f"{_JSON}; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def json_bytes(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type=_JSON, charset="utf-8")


async def long_json(
    request: web.Request, body: bytes, headers: Mapping[str, str], config: ServerConfig
) -> web.StreamResponse:
    """A body of any length."""
    if len(body) <= _AT_ONCE_BYTES:
        return json_bytes(body, headers=headers)
    all_headers = {"Content-Type": _HEADERS["Content-Type"], "Content-Length": str(len(body)), **headers}
    return await lasting_response(request, all_headers, partial(_write, request, body), config)


async def answer_whole(
    request: web.Request,
    headers: Mapping[str, str],
    reader: Reader,
    collector: Collector,
    refusal: Refusal,
    config: ServerConfig,
) -> web.StreamResponse:
    """Collect the run, and answer. Before the headers are out it raises what the collector raises."""
    with Heartbeat(config.whole_heartbeat_s, reader.wake) as heartbeat:
        while not reader.at_end and not heartbeat.is_due:
            collector.add(await reader.read())
        if reader.at_end:
            return await long_json(request, collector.body(), headers, config)
        response = web.StreamResponse(headers={**_HEADERS, **headers})
        try:
            writer = await SseWriter.open(request, response, write_timeout_s=config.write_timeout_s)
            await writer.send(await _rest(reader, collector, refusal, writer, heartbeat))
        except ClientGone as gone:
            leave_client(request, gone)
        return response


async def _rest(
    reader: Reader, collector: Collector, refusal: Refusal, writer: SseWriter, heartbeat: Heartbeat
) -> bytes:
    """The body, or that of an error. Sends white space until then."""
    try:
        while not reader.at_end:
            if heartbeat.is_due:
                await writer.send(b" ")
                heartbeat.touch()
            collector.add(await reader.read())
        return collector.body()
    except ClientGone:
        raise
    except ServerError as error:
        return refusal(error)[1]
    except Exception as exc:
        log_bug("request_failed", exc)
        return refusal(bug())[1]


async def _write(request: web.Request, body: bytes, writer: SseWriter) -> None:
    try:
        await writer.finish(body)
    except ClientGone as gone:
        leave_client(request, gone)
