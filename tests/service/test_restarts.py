"""Three restarts under 24 busy clients, as the units do them: the next server is ready before the last one is told to
end, both accept from one socket for a moment, and old streams go on. No request fails."""

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.kit.process import ServerProcess
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import chat_body
from tests.service.manager import activated, manager

FIRST_BYTE_S = 15.0  # on a busy machine; a connection that no server accepts would wait for ever
PAUSE_S = 0.3
LONG = "a long one"
WORDS = [f"word{number} " for number in range(20)]
Client = Callable[["Clients", str], Awaitable[None]]


@dataclass(slots=True)
class Clients:
    """What 24 clients saw. Nothing is retried: every failure is in `broken`."""

    asked: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    first_byte_s: list[float] = field(default_factory=list)
    are_to_stop: bool = False

    async def ask(self, client: Client, url: str, *, after_s: float) -> None:
        """One question after the other, until they are to stop; the first ones not all at once."""
        await asyncio.sleep(after_s)
        while not self.are_to_stop:
            self.asked[client.__name__] += 1
            try:
                await client(self, url)
            except (aiohttp.ClientError, OSError, AssertionError) as exc:
                self.broken.append(f"{client.__name__}: {exc!r}")
            await asyncio.sleep(PAUSE_S)

    async def post(self, session: aiohttp.ClientSession, url: str, question: str, *, stream: bool = True) -> str:
        started_at = time.monotonic()
        body = chat_body(question, model="solo", stream=stream)
        async with session.post(f"{url}/v1/chat/completions", json=body) as response:
            self.first_byte_s.append(time.monotonic() - started_at)
            assert response.status == 200, await response.text()
            return await response.text()


async def streams(clients: Clients, url: str) -> None:
    """Two seconds long, on a connection of its own."""
    async with aiohttp.ClientSession() as session:
        text = await clients.post(session, url, LONG)
    frames = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    said = "".join(choice["delta"].get("content") or "" for frame in frames for choice in frame["choices"])
    assert "".join(WORDS) in said
    assert text.endswith("data: [DONE]\n\n")


async def asks_anew(clients: Clients, url: str) -> None:
    """A short question, on a connection of its own."""
    started_at = time.monotonic()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/models") as response:
        clients.first_byte_s.append(time.monotonic() - started_at)
        assert response.status == 200
        assert {model["id"] for model in (await response.json())["data"]} >= {"solo"}


async def keeps_connections(clients: Clients, url: str) -> None:
    """Short answers, streamed and whole, on one connection for as long as the server keeps it."""
    async with aiohttp.ClientSession() as session:
        for number in range(6):
            text = await clients.post(session, url, "hi", stream=number % 2 == 0)
            assert "short" in text
            assert text.endswith("data: [DONE]\n\n" if number % 2 == 0 else "}")
            await asyncio.sleep(PAUSE_S)


def answer_to(asked: Mapping[str, Any]) -> ScriptedAnswer:
    return ScriptedAnswer(*WORDS, pause_s=0.1) if asked["messages"][-1]["content"] == LONG else ScriptedAnswer("short")


def config_toml(provider: ScriptedProvider) -> str:
    model = f'[models.default]\nprovider = "openai"\nmodel = "scripted"\nbase_url = "{provider.base_url}"'
    team = '[[teams]]\nid = "solo"\nfactory = "tests.kit.sample_teams:solo"\npresentation = "answer"'
    return f'[server]\nlog_format = "json"\n{model}\n{team}'


async def test_no_request_fails_during_three_restarts(tmp_path: Path) -> None:
    clients = Clients()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening, manager(str(tmp_path / "n")) as heard:
        async with ScriptedProvider() as provider, AsyncExitStack() as stack:
            provider.script(answer_to)
            config, url = config_toml(provider), f"http://127.0.0.1:{listening.getsockname()[1]}"

            async def start() -> ServerProcess:
                opening = activated(config, tmp_path, [listening], NOTIFY_SOCKET=heard.address)
                server = await stack.enter_async_context(opening)
                await heard.until(lambda message: "READY" in message)
                return server

            servers = [await start()]
            kinds = (streams, asks_anew, keeps_connections, keeps_connections)
            asking = [
                asyncio.create_task(clients.ask(kinds[number % 4], url, after_s=number / 12)) for number in range(24)
            ]
            ending: list[asyncio.Task[int]] = []
            for _ in range(3):
                await asyncio.sleep(0.3)
                servers.append(await start())
                servers[-2].process.terminate()
                ending.append(asyncio.create_task(servers[-2].end()))
            await asyncio.sleep(0.5)
            clients.are_to_stop = True
            await asyncio.gather(*asking)
            assert await asyncio.gather(*ending) == [0, 0, 0]
            servers[-1].process.terminate()
            assert await servers[-1].end() == 0
    assert clients.broken == []
    assert clients.asked.keys() == {"streams", "asks_anew", "keeps_connections"}
    assert len(clients.first_byte_s) > 60
    assert max(clients.first_byte_s) < FIRST_BYTE_S
    for server in servers:
        assert server.named("run_finished"), "each had its share"
        assert {line["outcome"] for line in server.named("run_finished")} == {"stop"}
    drained = [line["live_runs"] for server in servers[:-1] for line in server.named("server_stopping")]
    assert len(drained) == 3
    assert all(drained), "streams were under way at each restart"
