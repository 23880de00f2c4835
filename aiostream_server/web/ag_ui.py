"""`/v1/ag-ui/{model}`: AG-UI's agents, one for each team; and a whole thread for a page that comes back."""

from collections.abc import Iterator

from aiohttp import web

from aiostream_server.protocols.ag_ui import AG_UI, options_of
from aiostream_server.protocols.ag_ui.stream import remembered_frames
from aiostream_server.protocols.ag_ui.thread import earlier_turns, question_in
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.sse.writer import SSE_HEADERS
from aiostream_server.web.asking import ask
from aiostream_server.web.caller import caller_of
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_runs


def add_ag_ui_routes(app: web.Application, base: str) -> Iterator[web.AbstractRoute]:
    yield app.router.add_post(f"{base}ag-ui/{{model}}", ask(AG_UI))
    yield app.router.add_get(f"{base}ag-ui/{{model}}/{{thread}}", connect_thread, allow_head=False)


async def connect_thread(request: web.Request) -> web.StreamResponse:
    """Every run of the thread, each from its first event, the last ones live; before them, the messages of those that
    are kept no longer. 204 where nothing is known of the thread."""
    state, owner, thread = state_of(request), caller_of(request).owner, request.match_info["thread"]
    runs = await state.registry.conversation(owner, thread)
    cards = [run.card() for run in runs]
    asked = [options_of(card) for card in cards]
    questions = [question_in(options.messages) for options in asked]
    turns = earlier_turns(await state.registry.remembered(owner, thread), questions)
    before = remembered_frames(thread, turns) if turns else b""
    if not runs:
        return web.Response(body=before, headers=SSE_HEADERS) if before else web.Response(status=204)
    shown = [
        (run.watch(), AG_UI.stream(card, options, DisplayOptions()))
        for run, card, options in zip(runs, cards, asked, strict=True)
    ]
    return await stream_runs(request, {"X-Run-Id": runs[-1].id}, shown, state.config.server, before=before)
