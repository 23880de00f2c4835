"""An embeddings API, so that Open WebUI can search in files: texts with the same words are near each other."""

import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

_DIMENSIONS: Final = 256


@asynccontextmanager
async def embeddings() -> AsyncIterator[str]:
    """The address of the API."""

    async def embed(request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        listed = [texts] if isinstance(texts, str) else texts
        data = [{"object": "embedding", "index": at, "embedding": _vector(text)} for at, text in enumerate(listed)]
        return web.json_response({"object": "list", "data": data, "model": "words"})

    app = web.Application()
    app.router.add_post("/v1/embeddings", embed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def _vector(text: str) -> list[float]:
    vector = [0.01] * _DIMENSIONS
    for word in text.lower().split():
        vector[zlib.crc32(word.encode()) % _DIMENSIONS] += 1.0
    return vector
