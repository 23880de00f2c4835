"""`/v1/responses`: read, resume, cancel and delete responses. `web.asking` starts them.

A response is a run, and belongs to the key, and to the user behind it, that asked. For every other caller it does not
exist. What is kept of it is kept as long as its run; a question may continue it for as long as its conversation is
remembered.
"""

from typing import Final, NamedTuple

from aiohttp import web

from aiostream_server.errors import InvalidRequest, NotFound, RunGone, UnknownModel
from aiostream_server.intake.conversation import is_open_webui
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.protocols.responses import RESPONSES, ResponseOptions
from aiostream_server.protocols.responses.ids import run_id_of
from aiostream_server.protocols.responses.input_items import input_page
from aiostream_server.protocols.responses.kept import KeptResponse, read_kept
from aiostream_server.runs.card import RunView
from aiostream_server.web.asking import ask
from aiostream_server.web.caller import caller_of
from aiostream_server.web.display import chat_view
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.middlewares import REFUSALS
from aiostream_server.web.offer import NamedModel, Offer
from aiostream_server.web.runs import check_cancel_body, end_run, integer_of
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run
from aiostream_server.web.whole import long_json

MAX_NUMBER: Final = 2**53
_MAX_LISTED: Final = 100
_DEFAULT_LISTED: Final = 20
_ID: Final = r"(?!(?:compact|input_tokens)(?:/|$))[^/]+"  # those are calls of OpenAI's, and no ids


class _Found(NamedTuple):
    run: RunView
    kept: KeptResponse
    view: DisplayOptions


def add_response_routes(app: web.Application, base: str) -> None:
    """Below `base`, which ends with a slash."""
    one = f"{base}responses/{{response_id:{_ID}}}"
    for route in (
        app.router.add_post(f"{base}responses", ask(RESPONSES)),
        app.router.add_get(one, get_response, allow_head=False),  # may take long to end
        app.router.add_delete(one, delete_response),
        app.router.add_post(f"{one}/cancel", cancel_response),
        app.router.add_get(f"{one}/input_items", list_input_items),
    ):
        app[REFUSALS][route] = RESPONSES.refusal


async def get_response(request: web.Request) -> web.StreamResponse:
    """The response as it is now; or, with `?stream=true`, its events behind `starting_after`: a replay, then live."""
    found = await _find(request)
    after = _number(request, "starting_after", 0, MAX_NUMBER)
    if request.query.get("stream", "false").lower() != "true":
        if after is not None:
            raise InvalidRequest("starting_after: needs stream=true", param="starting_after")
        return await _described(request, found)
    options = ResponseOptions(-1 if after is None else after)
    headers, config = _headers(found.run), state_of(request).config.server
    with UntilWritten(found.run.watch()) as until:
        frames = RESPONSES.stream(found.run.card(), options, found.view)
        return until.written(await stream_run(request, headers, until.entered, frames, config))


async def cancel_response(request: web.Request) -> web.StreamResponse:
    """End the run, and wait a moment for its end. A response that is finished stays as it is."""
    found = await _find(request)
    await check_cancel_body(request)
    await end_run(found.run)
    return await _described(request, found)


async def delete_response(request: web.Request) -> web.Response:
    """Forget the response, and what is remembered of it for later questions. One that is in progress is ended."""
    response_id = request.match_info["response_id"]
    await check_cancel_body(request)
    owner, run_id = caller_of(request).owner, run_id_of(response_id)
    if run_id is None:
        raise _unknown(response_id)
    try:
        await state_of(request).registry.delete(run_id, owner)
    except (NotFound, RunGone) as exc:
        raise _unknown(response_id) from exc
    return web.json_response({"id": response_id, "object": "response.deleted", "deleted": True})


async def list_input_items(request: web.Request) -> web.Response:
    """What the request brought, newest first or, with `order=asc`, oldest first."""
    found = await _find(request)
    limit = _number(request, "limit", 1, _MAX_LISTED) or _DEFAULT_LISTED
    order = request.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest("order: must be asc or desc", param="order")
    body = input_page(found.run.id, found.kept, limit, after=request.query.get("after"), is_ascending=order == "asc")
    return web.json_response(body, headers=_headers(found.run))


async def _find(request: web.Request) -> _Found:
    """Raises `NotFound` for what is no response of this caller's."""
    response_id, principal = request.match_info["response_id"], caller_of(request)
    run_id, state = run_id_of(response_id), state_of(request)
    if run_id is None:
        raise _unknown(response_id)
    try:
        run = await state.registry.find(run_id, principal.owner)
    except NotFound as exc:
        raise _unknown(response_id) from exc
    except RunGone as exc:
        message = f"the response {response_id[:80]!r} is kept no longer; a question may still continue it"
        raise NotFound(message) from exc
    card = run.card()
    kept = read_kept(card.kept) if card.protocol == RESPONSES.name else KeptResponse(is_stored=False)
    if not kept.is_stored:
        raise _unknown(response_id)
    view = chat_view(
        request,
        _named(Offer(state.catalogue, principal), card.model),
        principal,
        is_page=is_open_webui(request.headers, principal),
        is_continuation=kept.is_continuation,
        is_json=kept.is_json,
    )
    return _Found(run, kept, view)


def _named(offer: Offer, model: str) -> NamedModel:
    """The team may be gone since."""
    try:
        return offer.find(model)
    except UnknownModel:
        return NamedModel(model, None)


async def _described(request: web.Request, found: _Found) -> web.StreamResponse:
    card = found.run.card()
    collector = RESPONSES.whole(card, ResponseOptions(raises=False), found.view)
    with found.run.watch() as reader:
        while reader.after < card.last_seq:
            collector.add(await reader.read())
    return await long_json(request, collector.body(), _headers(found.run), state_of(request).config.server)


def _headers(run: RunView) -> dict[str, str]:
    return {"X-Run-Id": run.id}


def _number(request: web.Request, name: str, least: int, most: int) -> int | None:
    return integer_of(name, request.query.getall(name, ()), least, most)


def _unknown(response_id: str) -> NotFound:
    return NotFound(f"there is no response {response_id[:80]!r}")
