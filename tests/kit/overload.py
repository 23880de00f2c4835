"""Processes for measuring a server under more load than it takes: `python -m tests.kit.overload ROLE ARGUMENTS`.

`bare` is a bare aiohttp server that passes on what a provider streams, for as many clients as it is told, and refuses
the others; it prints its port. `load` is clients that ask a server of either kind again and again; it prints what they
were told when it ends.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Final, cast

import aiohttp
from aiohttp import web

from benchmarks.bench.script import Script
from tests.kit.forkserver import ForkedProcess, fork
from tests.kit.serving import chat_body

HEALTH: Final = "/healthz"
CHAT: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Load:
    """`clients` ask at `url` for `seconds`, each again `retry_s` after a refusal. A question has `body_bytes`."""

    url: str
    clients: int
    seconds: float
    tokens: int = 50
    pause_s: float = 0.02
    retry_s: float = 0.25
    body_bytes: int = 0
    keeps_connections: bool = True
    keys: tuple[str, ...] = ()

    def body(self) -> bytes:
        history = [{"role": "user", "content": "x" * self.body_bytes}, {"role": "assistant", "content": "y"}]
        question = {"role": "user", "content": Script(self.tokens, self.pause_s).question()}
        messages = [*(history if self.body_bytes else []), question]
        return json.dumps(chat_body(messages, model="solo")).encode()


@asynccontextmanager
async def process(role: str, argument: str) -> AsyncIterator[ForkedProcess]:
    command, pipe, nowhere = ("-m", "tests.kit.overload", role, argument), subprocess.PIPE, subprocess.DEVNULL
    started = await fork(command, os.environ, stdout=pipe, stderr=nowhere)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@asynccontextmanager
async def bare_server(provider_port: int, max_streams: int) -> AsyncIterator[str]:
    """Its address."""
    async with process("bare", f"{provider_port} {max_streams}") as started:
        line = await cast("asyncio.StreamReader", started.stdout).readline()
        yield f"http://127.0.0.1:{int(line)}"


@asynccontextmanager
async def loading(load: Load) -> AsyncIterator[asyncio.Task[dict[str, int]]]:
    """The task's result is how many answers had each status, once the load is over."""

    async def result(started: ForkedProcess) -> dict[str, int]:
        line = await cast("asyncio.StreamReader", started.stdout).readline()
        return cast("dict[str, int]", json.loads(line))

    async with process("load", json.dumps(asdict(load))) as started:
        await cast("asyncio.StreamReader", started.stdout).readline()  # all clients have begun
        task = asyncio.create_task(result(started))
        try:
            yield task
        finally:
            task.cancel()


async def _serve_bare(provider_port: int, max_streams: int) -> None:
    live = 0
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def chat(request: web.Request) -> web.StreamResponse:
        nonlocal live
        body = await request.read()
        if live >= max_streams:
            return web.json_response({"error": {"message": "too many"}}, status=429)
        live += 1
        try:
            url = f"http://127.0.0.1:{provider_port}/v1/chat/completions"
            async with session.post(url, data=body) as answer:
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                with suppress(ConnectionError):
                    async for piece in answer.content.iter_any():
                        await response.write(piece)
                return response
        finally:
            live -= 1

    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_get(HEALTH, healthz)
    app.router.add_post(CHAT, chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def _load(load: Load) -> None:
    body = load.body()
    counts: dict[str, int] = {}
    ends_at = time.monotonic() + load.seconds
    connector = aiohttp.TCPConnector(limit=0, force_close=not load.keeps_connections)

    async def ask_again(session: aiohttp.ClientSession, number: int) -> None:
        await asyncio.sleep(load.retry_s * number / load.clients)
        headers = {"Authorization": f"Bearer {load.keys[number % len(load.keys)]}"} if load.keys else {}
        while time.monotonic() < ends_at:
            try:
                async with session.post(load.url + CHAT, data=body, headers=headers) as response:
                    status = str(response.status)
                    while await response.content.readany():
                        pass
            except aiohttp.ClientError as exc:
                status = type(exc).__name__
            counts[status] = counts.get(status, 0) + 1
            if status != "200":
                await asyncio.sleep(load.retry_s)

    timeout = aiohttp.ClientTimeout(total=120)
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        asking = [asyncio.create_task(ask_again(session, number)) for number in range(load.clients)]
        await asyncio.sleep(load.retry_s)
        print("begun", flush=True)
        await asyncio.wait(asking, timeout=max(0.0, ends_at + 1 - time.monotonic()))
        print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    role, argument = sys.argv[1:]
    if role == "bare":
        asyncio.run(_serve_bare(*map(int, argument.split())))
    else:
        asyncio.run(_load(Load(**json.loads(argument))))
