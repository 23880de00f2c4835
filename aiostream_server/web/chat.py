"""`POST /v1/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create"""

import time
from typing import Final, get_args

from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.errors import InvalidRequest
from aiostream_server.present import Presenter, new_presenter, routed_presenter
from aiostream_server.store.log import Reader
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.web.asking import Started, read_asked, start_run
from aiostream_server.web.collect import collect_run
from aiostream_server.web.frames import ChatFrames
from aiostream_server.web.state import STATE
from aiostream_server.web.stream import stream_run
from aiostream_server.wire.completion import ChunkEncoder, new_completion_id
from aiostream_server.wire.request import ChatRequest

_PRESENTATIONS: Final[tuple[Presentation, ...]] = get_args(Presentation)


async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Refuse what can be refused; then start a run and show it. A client that leaves takes its run with it, unless the
    team says otherwise."""
    asked = await read_asked(request, ChatRequest)
    presenter = _presenter(request, asked.spec)
    started = await start_run(request, asked, by_default="cancel")
    with started.run.watch() as reader:
        return await _answer(request, started, reader, asked.body, presenter)


async def _answer(
    request: web.Request, started: Started, reader: Reader, chat: ChatRequest, presenter: Presenter
) -> web.StreamResponse:
    completion_id, created = new_completion_id(), int(time.time())
    if not chat.stream:
        body = await collect_run(reader, presenter, completion_id, created, chat.model)
        return web.json_response(body, headers=started.headers)
    encoder = ChunkEncoder(completion_id, created, chat.model)
    frames = ChatFrames(presenter, encoder, include_usage=chat.stream_options.include_usage)
    return await stream_run(request, started.headers, reader, frames, request.app[STATE].config.server)


def _presenter(request: web.Request, spec: TeamSpec | None) -> Presenter:
    """As the request wishes, else as the team is shown: the one it names, or the one that it is routed to."""
    wish = request.headers.get("X-Presentation")
    for known in _PRESENTATIONS:
        if wish == known:
            return new_presenter(known)
    if wish is not None:
        raise InvalidRequest(f"X-Presentation must be one of: {', '.join(_PRESENTATIONS)}")
    if spec is not None:
        return new_presenter(spec.config.presentation)
    return routed_presenter({team.id: team.config.presentation for team in request.app[STATE].catalogue})
