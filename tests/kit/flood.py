"""Processes for measuring what a flood from a provider costs others: `python -m tests.kit.flood ROLE` prints its port.

`provider` answers each request with the flood that its `model` names, until the client hangs up. `reader` is a bare
aiohttp server that reads such a flood, and does nothing with it, while it answers `/healthz`.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, cast

import aiohttp
from aiohttp import web

_WRITE_BYTES: Final = 64 * 1024
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def _event(delta: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


FLOODS: Final[Mapping[str, bytes]] = {
    "newlines": b"\n",
    "comments": b":\n\n",
    "empty-events": b"data: {}\n\n",
    "no-json": b"data: x\n\n",
    "text": _event({"content": "a "}),
    "odd-text": _event({"content": [{"type": "text", "text": "a "}]}),
    "thoughts": _event({"reasoning": "a "}),
    "calls": _event({"tool_calls": [{"id": "", "function": {"name": "f", "arguments": "{}"}}]}),
    "arguments": _event({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}),
    "one-line": b"data: " + b'{"a":[' * 100_000,
}


async def _flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    flood = FLOODS[json.loads(await reader.readexactly(size))["model"]]
    writer.write(_HEAD)
    try:
        while True:
            writer.write(flood * (_WRITE_BYTES // len(flood) or 1))
            await writer.drain()
    except ConnectionError:
        writer.close()


async def _read(request: web.Request) -> web.Response:
    async def read() -> None:
        async with aiohttp.ClientSession() as session, session.post(body["url"], json=body) as response:
            while await response.content.readany():
                pass

    body = await request.json()
    reading = asyncio.create_task(read())
    try:
        await asyncio.sleep(body["seconds"])
    finally:
        reading.cancel()
    return web.Response()


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _main(role: str) -> None:
    if role == "provider":
        server = await asyncio.start_server(_flood, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
    else:
        app = web.Application()
        app.add_routes([web.post("/read", _read), web.get("/healthz", _healthz)])
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
    print(port, flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def flood_process(role: str) -> AsyncIterator[str]:
    """The URL of a process in this role, which ends with the block."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, role, stdout=asyncio.subprocess.PIPE)
    try:
        line = await cast("asyncio.StreamReader", process.stdout).readline()
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        await process.communicate()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
