"""`/v1/runs`: list, read, watch and cancel runs. `web.asking` starts them.

A run belongs to the key, and to the user behind it, that started it. For every other caller it does not exist.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiohttp import web

from aiostream_server.errors import InvalidRequest, NotFound
from aiostream_server.intake.body import check_headers
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.protocols.runs import RUNS
from aiostream_server.protocols.runs.request import DEFAULT_LISTED, MAX_CURSOR, MAX_LISTED
from aiostream_server.protocols.runs.whole import runs_body
from aiostream_server.runs.card import RunView
from aiostream_server.web.caller import caller_of, path_prefix, watch_link
from aiostream_server.web.cors import is_allowed_page
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run
from aiostream_server.web.traffic import read_body
from aiostream_server.web.whole import json_bytes

_CANCEL_WAIT_S: Final = 2.0
_INTEGER: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


async def list_runs(request: web.Request) -> web.Response:
    """The caller's own, newest first."""
    owner, limit = caller_of(request).owner, limit_of(request)
    latest = await state_of(request).registry.list(owner, limit)
    return json_bytes(runs_body((run.card() for run in latest), path_prefix(request), watch_link(request)))


async def get_run(request: web.Request) -> web.Response:
    """One of them."""
    return described(request, await _find(request))


async def get_events(request: web.Request) -> web.StreamResponse:
    """The run's events behind the client's cursor: first a replay, then live, until the run is over.

    A browser's `EventSource` reconnects at the end of every stream; 204 says that there is nothing to come.
    https://html.spec.whatwg.org/multipage/server-sent-events.html#server-sent-events-intro
    """
    run, after = await _find(request, is_signed=_has_signature(request)), cursor_of(request)
    if "Last-Event-ID" in request.headers and (card := run.card()).finished is not None and after >= card.last_seq:
        return web.Response(status=204, headers={"X-Run-Id": run.id})
    headers, config = {"X-Run-Id": run.id}, state_of(request).config.server
    with UntilWritten(run.watch(after)) as until:
        frames = RUNS.stream(run.card(), None, DisplayOptions())
        return until.written(await stream_run(request, headers, until.entered, frames, config))


async def cancel_run(request: web.Request) -> web.Response:
    """End the run, whatever its `on_disconnect`, and wait a moment for its end. A finished run stays as it is."""
    run = await _find(request)
    await check_cancel_body(request)
    await end_run(run)
    return described(request, run)


async def end_run(run: RunView) -> None:
    """Cancel it, and wait a moment."""
    await run.stop("cancelled")
    with suppress(TimeoutError):  # it is still going on then
        async with asyncio.timeout(_CANCEL_WAIT_S):
            await run.wait()


async def check_cancel_body(request: web.Request) -> None:
    """No body is needed. Without keys a web page of another origin must not cancel runs. Its browser always sends
    `Origin` with a POST, and JSON only after a preflight, which only pages of `[server] cors_origins` pass."""
    is_stranger = not state_of(request).keys and "Origin" in request.headers and not is_allowed_page(request)
    if request.can_read_body or is_stranger:
        check_headers(request.headers)
        await read_body(request)


def _has_signature(request: web.Request) -> bool:
    """Whether the link is signed, so that the caller needs no key. Raises `NotFound` for a wrong signature."""
    state, run_id = state_of(request), request.match_info["run_id"]
    expires, signatures = request.query.getall("expires", ()), request.query.getall("signature", ())
    if not expires and not signatures:
        return False
    check_local_host(request.headers, state.keys, request.version)
    files = state.resources.files
    if len(expires) == len(signatures) == 1 and files and files.links.is_signed(run_id, expires[0], signatures[0]):
        return True
    raise NotFound(f"there is no run {run_id[:80]!r}")


async def _find(request: web.Request, *, is_signed: bool = False) -> RunView:
    state = state_of(request)
    owner = None if is_signed else caller_of(request).owner
    try:
        return await state.registry.find(request.match_info["run_id"], owner)
    except NotFound as exc:
        if state.config.server.workers == 1 or state.config.runs.is_shared:
            raise
        raise NotFound(f"{exc} here; perhaps another worker has it: they do not share runs") from exc


def described(request: web.Request, run: RunView) -> web.Response:
    """The run as an object."""
    view = DisplayOptions(path_prefix=path_prefix(request), watch_link=watch_link(request))
    body = RUNS.whole(run.card(), None, view).body()
    return json_bytes(body, headers={"X-Run-Id": run.id})


def cursor_of(request: web.Request) -> int:
    """The number of the last event that the client has: `Last-Event-ID`, or `?starting_after=N`, or 0."""
    header = integer_of("Last-Event-ID", request.headers.getall("Last-Event-ID", ()), 0, MAX_CURSOR)
    query = integer_of("starting_after", request.query.getall("starting_after", ()), 0, MAX_CURSOR)
    if header is not None and query is not None and header != query:
        raise InvalidRequest(
            f"starting_after={query} and Last-Event-ID: {header} disagree: send one of them", param="starting_after"
        )
    return header or query or 0


def limit_of(request: web.Request) -> int:
    """How many are to be listed: `?limit=N`."""
    return integer_of("limit", request.query.getall("limit", ()), 1, MAX_LISTED) or DEFAULT_LISTED


def integer_of(name: str, values: Sequence[str], least: int, most: int) -> int | None:
    """None where it was not sent. Raises `InvalidRequest` for a wrong one."""
    if not values:
        return None
    if len(values) == 1 and _INTEGER.fullmatch(values[0]) and least <= int(values[0]) <= most:
        return int(values[0])
    raise InvalidRequest(f"{name} must be one integer from {least} to {most}", param=name)
