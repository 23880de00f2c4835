"""A bare relay: what a page shows without this server in between. It passes a provider's stream on as it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import web

MODEL: Final = "relay"
_TITLE: Final = '{"title": "Relayed", "tags": [], "follow_ups": []}'


@asynccontextmanager
async def bare_relay(provider_url: str) -> AsyncIterator[str]:
    """The address of its API, with the one model `relay`. Answers what is not streamed, titles and the like, itself."""

    async def list_models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "name": "Bare relay"}]})

    async def complete_chat(request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        if not body.get("stream"):
            message = {"role": "assistant", "content": _TITLE}
            return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        async with session.post(f"{provider_url}/chat/completions", json=body) as answer:
            await response.prepare(request)
            async for data in answer.content.iter_any():
                await response.write(data)
        return response

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_get("/v1/models", list_models)
    app.router.add_post("/v1/chat/completions", complete_chat)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()
