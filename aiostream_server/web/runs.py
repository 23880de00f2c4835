"""`/v1/runs`: start, list, read, watch and cancel runs. `docs/runs-api.md` is its manual.

A run belongs to the key, and to the user behind it, that started it: for every other caller it does not exist.
"""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from aiostream_server.errors import NotFound
from aiostream_server.intake.body import check_headers
from aiostream_server.runs.card import RunView
from aiostream_server.web.asking import Started, read_asked, read_whole_body, start_run
from aiostream_server.web.caller import caller_of
from aiostream_server.web.cors import is_allowed_page
from aiostream_server.web.event_frames import EventFrames
from aiostream_server.web.parameters import cursor_of, limit_of
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run
from aiostream_server.wire.runs import RunBody, RunCard, run_body, runs_body

_CANCEL_WAIT_S: Final = 2.0


async def create_run(request: web.Request) -> web.StreamResponse:
    """Start a run and show its events; or, in the background, tell at once where they are."""
    asked = await read_asked(request, RunBody)
    body = asked.body
    started = await start_run(
        request, asked, on_disconnect=body.on_disconnect, by_default="continue", conversation=body.conversation
    )
    if not body.background:
        return await _show_events(request, started, after=0)
    card = _card(request, started.run)
    return web.json_response(run_body(card), status=202, headers={**started.headers, "Location": card.path})


async def list_runs(request: web.Request) -> web.Response:
    """The caller's own, newest first."""
    owner, limit = caller_of(request).owner, limit_of(request)
    latest = await state_of(request).registry.list(owner, limit)
    return web.json_response(runs_body(_card(request, run) for run in latest))


async def get_run(request: web.Request) -> web.Response:
    """One of them."""
    return _told(request, await _find(request))


async def get_events(request: web.Request) -> web.StreamResponse:
    """Its events behind the client's cursor: those that were, then those that come, until it is over."""
    run, after = await _find(request), cursor_of(request)
    return await _show_events(request, Started(run, {"X-Run-Id": run.id}), after)


async def cancel_run(request: web.Request) -> web.Response:
    """End it, whatever its `on_disconnect`; wait a while until it is over. What is over stays as it is."""
    run = await _find(request)
    await _check_cancel_body(request)
    await run.stop("cancelled")
    with suppress(TimeoutError):  # the answer says, then, that it is still running
        async with asyncio.timeout(_CANCEL_WAIT_S):
            await run.wait()
    return _told(request, run)


async def _show_events(request: web.Request, started: Started, after: int) -> web.StreamResponse:
    run = started.run
    with run.watch(after) as reader:
        frames = EventFrames(run.id, reader)
        return await stream_run(request, started.headers, reader, frames, state_of(request).config.server)


async def _check_cancel_body(request: web.Request) -> None:
    """No body is needed. A web page, which without keys must stay outside, always sends its `Origin` with a POST, and
    JSON only after it was allowed to: only those of `[server] cors_origins` are."""
    is_stranger = not state_of(request).keys and "Origin" in request.headers and not is_allowed_page(request)
    if request.can_read_body or is_stranger:
        check_headers(request.headers)
        await read_whole_body(request)


async def _find(request: web.Request) -> RunView:
    owner, state = caller_of(request).owner, state_of(request)
    try:
        return await state.registry.find(request.match_info["run_id"], owner)
    except NotFound as exc:
        if state.config.server.workers == 1:
            raise
        raise NotFound(f"{exc} here; perhaps another worker has it: they do not share runs") from exc


def _told(request: web.Request, run: RunView) -> web.Response:
    return web.json_response(run_body(_card(request, run)), headers={"X-Run-Id": run.id})


def _card(request: web.Request, run: RunView) -> RunCard:
    """As seen from this request: who came by `/api` goes on by it."""
    prefix = "/api" if request.path.startswith("/api/") else ""
    card = run.card()
    return RunCard(
        id=card.id,
        path=f"{prefix}/v1/runs/{card.id}",
        model=card.model,
        team=card.team,
        conversation=card.conversation,
        on_disconnect=card.on_disconnect,
        created_at=int(card.created_at),
        last_seq=card.last_seq,
        finished=card.finished,
        error=card.error,
    )
