"""`POST /v1/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create"""

import time
from typing import Final, get_args

from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import check_headers, parse_chat
from aiostream_server.intake.question import read_question
from aiostream_server.present import Presenter, new_presenter
from aiostream_server.runs.run import Run, RunRequest
from aiostream_server.store.log import Reader
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.web.body import read_body
from aiostream_server.web.caller import caller_of
from aiostream_server.web.collect import collect_run
from aiostream_server.web.frames import ChatFrames
from aiostream_server.web.offer import Offer
from aiostream_server.web.state import STATE, ServerState
from aiostream_server.web.stream import stream_run
from aiostream_server.wire.completion import ChunkEncoder, new_completion_id
from aiostream_server.wire.request import ChatRequest

_PRESENTATIONS: Final[tuple[Presentation, ...]] = get_args(Presentation)


async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Refuse what can be refused; then start a run and show it. A client that leaves takes its run with it."""
    state = request.app[STATE]
    principal = caller_of(request)
    offer = Offer(state.catalogue, principal)
    chat = await _read_chat(request, state)
    spec = offer.find(chat.model)
    presentation = _presentation(request, spec)
    allowed = offer.routable() if spec is None else None
    asked = RunRequest(read_question(chat), chat.model, spec, allowed, owner=principal.key_id)
    run = await state.registry.start(asked)
    with run.watch() as reader:
        return await _answer(request, run, reader, chat, new_presenter(presentation), state)


async def _answer(
    request: web.Request, run: Run, reader: Reader, chat: ChatRequest, presenter: Presenter, state: ServerState
) -> web.StreamResponse:
    completion_id, created = new_completion_id(), int(time.time())
    if not chat.stream:
        body = await collect_run(reader, presenter, completion_id, created, chat.model)
        return web.json_response(body, headers={"X-Run-Id": run.id})
    encoder = ChunkEncoder(completion_id, created, chat.model)
    frames = ChatFrames(presenter, encoder, include_usage=chat.stream_options.include_usage)
    return await stream_run(request, run.id, reader, frames, state.config.server)


async def _read_chat(request: web.Request, state: ServerState) -> ChatRequest:
    check_headers(request.headers)
    server = state.config.server
    raw = await read_body(request, max_bytes=server.max_body_bytes, timeout_s=server.body_timeout_s)
    return parse_chat(raw, request.headers)


def _presentation(request: web.Request, spec: TeamSpec | None) -> Presentation:
    """The request's own wish, else the team's; a routed question's team is not known yet, so it has the default."""
    wish = request.headers.get("X-Presentation")
    for known in _PRESENTATIONS:
        if wish == known:
            return known
    if wish is not None:
        raise InvalidRequest(f"X-Presentation must be one of: {', '.join(_PRESENTATIONS)}")
    return spec.config.presentation if spec is not None else "transcript"
