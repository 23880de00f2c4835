"""`/v1/ag-ui/{model}`: AG-UI's agents, one for each team; and a thread's latest run for a page that comes back."""

from collections.abc import Iterator

from aiohttp import web

from aiostream_server.protocols.ag_ui import AG_UI, options_of
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.web.asking import ask
from aiostream_server.web.caller import caller_of
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run


def add_ag_ui_routes(app: web.Application, base: str) -> Iterator[web.AbstractRoute]:
    yield app.router.add_post(f"{base}ag-ui/{{model}}", ask(AG_UI))
    yield app.router.add_get(f"{base}ag-ui/{{model}}/{{thread}}", connect_thread, allow_head=False)


async def connect_thread(request: web.Request) -> web.StreamResponse:
    """The thread's latest run from its first event, live or finished; 204 where none is kept."""
    run = await state_of(request).registry.latest(caller_of(request).owner, request.match_info["thread"])
    if run is None:
        return web.Response(status=204)
    card = run.card()
    with run.watch() as reader:
        frames = AG_UI.stream(card, options_of(card), DisplayOptions())
        return await stream_run(request, {"X-Run-Id": run.id}, reader, frames, state_of(request).config.server)
