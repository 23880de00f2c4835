"""Bare aiohttp relays: the least that passing on a provider's stream can cost.

* bytes: writes every read as it is.
* json: decodes every event, sets its id and model, encodes and writes it: the minimum for a gateway.
* msgspec: the same with msgspec in place of the standard library's json.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import msgspec
import uvloop
from aiohttp import web

_SESSION: Final = web.AppKey("session", aiohttp.ClientSession)
_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}

Relay = Callable[[aiohttp.StreamReader, web.StreamResponse], Awaitable[None]]


async def relay_bytes(content: aiohttp.StreamReader, response: web.StreamResponse) -> None:
    async for data in content.iter_any():
        await response.write(data)


async def relay_json(content: aiohttp.StreamReader, response: web.StreamResponse) -> None:
    await _rewrite(content, response, json.loads, lambda chunk: json.dumps(chunk).encode())


async def relay_msgspec(content: aiohttp.StreamReader, response: web.StreamResponse) -> None:
    await _rewrite(content, response, msgspec.json.Decoder().decode, msgspec.json.Encoder().encode)


async def _rewrite(
    content: aiohttp.StreamReader,
    response: web.StreamResponse,
    decode: Callable[[bytes], Any],
    encode: Callable[[Any], bytes],
) -> None:
    async for line in content:
        if not line.startswith(b"data: "):
            continue
        payload = line[6:].rstrip()
        if payload == b"[DONE]":
            await response.write(b"data: [DONE]\n\n")
            continue
        chunk = decode(payload)
        chunk["id"], chunk["model"] = "chatcmpl-relay", "relay"
        await response.write(b"data: " + encode(chunk) + b"\n\n")


_RELAYS: Final[dict[str, Relay]] = {"bytes": relay_bytes, "json": relay_json, "msgspec": relay_msgspec}


async def serve(relay: Relay, provider: str) -> None:
    async def complete_chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        session = request.app[_SESSION]
        async with session.post(f"{provider}/chat/completions", json=await request.json()) as answer:
            await response.prepare(request)
            await relay(answer.content, response)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete_chat)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app[_SESSION] = session
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main(kind: str, loop: str, provider: str) -> None:
    run = uvloop.run if loop == "uvloop" else asyncio.run
    run(serve(_RELAYS[kind], provider))


if __name__ == "__main__":
    main(*sys.argv[1:])
