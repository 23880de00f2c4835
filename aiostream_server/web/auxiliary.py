"""The HTTP answer to what clients ask beside the conversation: a completion like any other, without a run."""

import time
from collections.abc import Iterator
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.errors import ClientGone
from aiostream_server.routing.auxiliary.desk import AuxiliaryAnswer
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.sse.frames import DONE, data_frame
from aiostream_server.sse.writer import SSE_HEADERS, SseWriter
from aiostream_server.web.observed import OBSERVER, tell_gone
from aiostream_server.web.state import state_of
from aiostream_server.wire.completion import ChunkEncoder, completion_body, new_completion_id
from aiostream_server.wire.request import ChatRequest

_log: Final = structlog.get_logger()
_MAX_DELTA_CHARS: Final = 4_000  # a merge of answers may be long


async def answer_auxiliary(
    request: web.Request, auxiliary: Auxiliary, chat: ChatRequest, *, team_name: str
) -> web.StreamResponse:
    """Answer as `chat` asks: one completion, or a stream. Takes at most the model's timeout."""
    started = time.monotonic()
    answer = await state_of(request).auxiliary.answer(auxiliary, team_name)
    seconds = round(time.monotonic() - started, 4)
    _log.info("auxiliary_answered", kind=auxiliary.kind, seconds=seconds, by=answer.by)
    request.app[OBSERVER].auxiliary(auxiliary.kind, by=answer.by)
    completion_id, created = new_completion_id(), int(time.time())
    if not chat.stream:
        body = completion_body(
            completion_id, created, chat.model, content=answer.text, finish_reason="stop", usage=answer.usage
        )
        return web.json_response(body)
    encoder = ChunkEncoder(completion_id, created, chat.model)
    frames = b"".join(_frames(encoder, answer, include_usage=chat.stream_options.include_usage))
    return await _stream(request, frames, state_of(request).config.server.write_timeout_s)


def _frames(encoder: ChunkEncoder, answer: AuxiliaryAnswer, *, include_usage: bool) -> Iterator[bytes]:
    yield data_frame(encoder.role())
    for start in range(0, len(answer.text), _MAX_DELTA_CHARS):
        yield data_frame(encoder.content(answer.text[start : start + _MAX_DELTA_CHARS]))
    yield data_frame(encoder.finish("stop"))
    if include_usage:
        yield data_frame(encoder.usage(answer.usage))
    yield DONE


async def _stream(request: web.Request, frames: bytes, write_timeout_s: float) -> web.StreamResponse:
    response = web.StreamResponse(headers=SSE_HEADERS)
    try:
        writer = await SseWriter.open(request, response, write_timeout_s=write_timeout_s)
        await writer.send(frames)
    except ClientGone as gone:
        tell_gone(request, gone)
        if request.transport is not None:
            request.transport.abort()
    return response
