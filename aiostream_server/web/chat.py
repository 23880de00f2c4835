"""`POST /v1/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create"""

import time
from dataclasses import dataclass
from typing import Final, get_args

from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.errors import InvalidRequest
from aiostream_server.log.protocol import Reader
from aiostream_server.present import Page, Presenter, new_presenter, routed_presenter
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.web.asking import Asked, Started, read_asked, start_run
from aiostream_server.web.auxiliary import answer_auxiliary
from aiostream_server.web.collect import collect_run
from aiostream_server.web.frames import ChatFrames
from aiostream_server.web.links import own_links
from aiostream_server.web.page_frames import PageFrames
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run
from aiostream_server.wire.completion import ChunkEncoder, new_completion_id
from aiostream_server.wire.request import ChatRequest

_PRESENTATIONS: Final[tuple[Presentation, ...]] = get_args(Presentation)


@dataclass(frozen=True, slots=True)
class _AnswerOptions:
    """How an answer is to be given: all that is needed of a question once its run has begun."""

    model: str
    presenter: Presenter
    is_streamed: bool
    include_usage: bool
    is_page: bool


async def complete_chat(request: web.Request) -> web.StreamResponse:
    """Refuse what can be refused; answer what needs no team; else start a run and show it. A client that leaves takes
    its run with it, unless the team says otherwise."""
    asked = await read_asked(request, ChatRequest)
    if (auxiliary := _auxiliary(request, asked.body)) is not None:
        team_name = "" if asked.spec is None else asked.spec.name
        return await answer_auxiliary(request, auxiliary, asked.body, team_name=team_name)
    wish = _wish(request, asked)
    started = await start_run(request, asked, by_default="cancel")
    del asked  # each message is a kilobyte of objects beside its text: a stream need not hold them to its end
    with started.run.watch() as reader:
        return await _answer(request, started, reader, wish)


def _auxiliary(request: web.Request, chat: ChatRequest) -> Auxiliary | None:
    """A title or the like, which the client asks for beside the conversation."""
    state = state_of(request)
    return state.auxiliary.recognise(chat, request.headers.get(state.config.open_webui.task_header))


def _wish(request: web.Request, asked: Asked[ChatRequest]) -> _AnswerOptions:
    chat = asked.body
    return _AnswerOptions(
        chat.model,
        _presenter(request, asked),
        is_streamed=chat.stream,
        include_usage=chat.stream_options.include_usage,
        is_page=asked.is_page,
    )


async def _answer(request: web.Request, started: Started, reader: Reader, wish: _AnswerOptions) -> web.StreamResponse:
    config = state_of(request).config
    completion_id, created = new_completion_id(), int(time.time())
    if not wish.is_streamed:
        body = await collect_run(reader, wish.presenter, completion_id, created, wish.model)
        return web.json_response(body, headers=started.headers)
    encoder = ChunkEncoder(completion_id, created, wish.model)
    page = PageFrames() if wish.is_page else None
    frames = ChatFrames(wish.presenter, encoder, include_usage=wish.include_usage, page=page)
    coalesce_s = config.open_webui.coalesce_ms / 1_000 if wish.is_page else 0.0
    return await stream_run(request, started.headers, reader, frames, config.server, coalesce_s=coalesce_s)


def _presenter(request: web.Request, asked: Asked[ChatRequest]) -> Presenter:
    """As the request wishes, else as the team is shown: the one it names, or the one that it is routed to."""
    state, wish = state_of(request), request.headers.get("X-Presentation")
    page = Page(state.config.open_webui.remote_images, own_links(request)) if asked.is_page else None
    for known in _PRESENTATIONS:
        if wish == known:
            return new_presenter(known, page)
    if wish is not None:
        raise InvalidRequest(f"X-Presentation must be one of: {', '.join(_PRESENTATIONS)}")
    if asked.spec is not None:
        return new_presenter(asked.spec.config.presentation, page)
    return routed_presenter({team.id: team.config.presentation for team in state.catalogue}, page)
