"""`/v1/ai-sdk/{model}`: chats of the AI SDK's pages. https://ai-sdk.dev/docs/ai-sdk-ui/chatbot-resume-streams

A page that comes back asks for the stream of its chat; its stop button has to call the server, since a page that leaves
looks the same as one that stops.
"""

from collections.abc import Iterator

from aiohttp import web

from aiostream_server.protocols.ai_sdk import AI_SDK, options_of
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.runs.card import RunView
from aiostream_server.web.asking import ask
from aiostream_server.web.caller import caller_of, own_links
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.runs import check_cancel_body, described, end_run
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run


def add_ai_sdk_routes(app: web.Application, base: str) -> Iterator[web.AbstractRoute]:
    chat = f"{base}ai-sdk/{{model}}"
    yield app.router.add_post(chat, ask(AI_SDK))
    yield app.router.add_get(f"{chat}/{{chat}}/stream", resume_chat, allow_head=False)
    yield app.router.add_post(f"{chat}/{{chat}}/stop", stop_chat)


async def resume_chat(request: web.Request) -> web.StreamResponse:
    """The stream of the chat's live run, from its beginning; 204 where none is live."""
    run = await _live_run(request)
    if run is None:
        return web.Response(status=204)
    card = run.card()
    frames = AI_SDK.stream(card, options_of(card), DisplayOptions(is_own_link=own_links(request)))
    headers = {"X-Run-Id": run.id, **AI_SDK.headers}
    with UntilWritten(run.watch()) as until:
        response = await stream_run(request, headers, until.entered, frames, state_of(request).config.server)
        return until.written(response)


async def stop_chat(request: web.Request) -> web.Response:
    """End the chat's live run, and answer with it as an object; 204 where none is live."""
    run = await _live_run(request)
    await check_cancel_body(request)
    if run is None:
        return web.Response(status=204)
    await end_run(run)
    return described(request, run)


async def _live_run(request: web.Request) -> RunView | None:
    owner = caller_of(request).owner
    run = await state_of(request).registry.latest(owner, request.match_info["chat"])
    return run if run is not None and run.card().finished is None else None
