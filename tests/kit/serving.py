"""The server as users run it, on a free port, in the test's own loop; and a client that notes when things arrive.

async with serving(config, tmp_path) as url, asking(url, "hello", model="echo") as answer:
    async for piece in answer.pieces():
        ...
"""

import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from aiostream_server.config.model import Config, OpenAIModelConfig, TeamConfig
from aiostream_server.observe.observer import NO_OBSERVER, Observer
from aiostream_server.service.composition import compose
from aiostream_server.service.sockets import listen
from aiostream_server.tools.sql.shop import build_shop
from aiostream_server.web.state import STATE, CurrentState
from tests.kit.waiting import DEADLINE_S, wait_for


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    state: CurrentState
    runner: web.AppRunner


@asynccontextmanager
async def serving(config: Config, state_directory: Path, observer: Observer = NO_OBSERVER) -> AsyncIterator[Server]:
    if not config.database:
        _put_shop(state_directory)
    app = compose(config, state_directory=state_directory, observer=observer)
    runner = web.AppRunner(app, handler_cancellation=True, auto_decompress=False, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        # The process that draws has a lower priority: on a busy machine half a minute is not enough for a chart.
        vars(app[STATE].state.resources.painter)["_timeout_s"] = 2 * DEADLINE_S
        await web.SockSite(runner, listen("127.0.0.1", 0)).start()
        yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}", app[STATE], runner)
    finally:
        await runner.cleanup()


def _put_shop(state_directory: Path) -> None:
    """The demo shop, as a server finds it at its second start. To build it takes 5 ms of CPU time and an fsync."""
    path = state_directory / "shop.sqlite3"
    if state_directory.is_dir() and not path.exists():
        path.write_bytes(_shop())


@cache
def _shop() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        build_shop(path := Path(folder) / "shop")
        return path.read_bytes()


async def until_idle(server: Server) -> None:
    """Wait until the server has no live run."""
    await wait_for(lambda: not len(server.state.registry), "the server is idle")


async def get_json(url: str) -> Any:
    """The JSON of an answer with status 200."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        return await response.json()


def config_for(base_url: str, *teams: TeamConfig, **sections: Any) -> Config:
    """A configuration with the scripted provider as its default model; without teams, the built-in ones."""
    model = OpenAIModelConfig(provider="openai", model="scripted", base_url=base_url)
    return Config(models={"default": model}, teams=teams, **sections)


def sample_team(name: str, /, **settings: Any) -> TeamConfig:
    """A team of `tests.kit.sample_teams`; its id is the function's name with dashes."""
    by_default = {"id": name.replace("_", "-"), "factory": f"tests.kit.sample_teams:{name}"}
    return TeamConfig(**{**by_default, **settings})


@dataclass(slots=True)
class ServedAnswer:
    """One response; `frames` are its JSON frames so far, `times` when each arrived (`time.monotonic`)."""

    response: aiohttp.ClientResponse
    frames: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    comments: int = 0
    done: bool = False
    ended_at: float | None = None

    @property
    def run_id(self) -> str:
        return self.response.headers["X-Run-Id"]

    @property
    def text(self) -> str:
        return "".join(map(_content, self.frames))

    @property
    def finish_reasons(self) -> list[str]:
        choices = [choice for frame in self.frames for choice in frame.get("choices", ())]
        return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [frame["error"] for frame in self.frames if "error" in frame]

    async def pieces(self) -> AsyncIterator[str]:
        """Each piece of content as it arrives, to the end of the body."""
        async for frame in self.stream():
            if piece := _content(frame):
                yield piece

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        async for line in self.response.content:
            if line.startswith(b":"):
                self.comments += 1
            elif line.strip() == b"data: [DONE]":
                self.done = True
            elif line.startswith(b"data: "):
                assert not self.done, "nothing follows [DONE]"
                self.frames.append(json.loads(line[6:]))
                self.times.append(time.monotonic())
                yield self.frames[-1]
        self.ended_at = time.monotonic()

    async def read_all(self) -> "ServedAnswer":
        async for _ in self.stream():
            pass
        return self


def _content(frame: Mapping[str, Any]) -> str:
    choices = frame.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


def chat_body(question: str | list[dict[str, Any]], *, model: str = "auto", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}] if isinstance(question, str) else question
    return {"model": model, "stream": True, "messages": messages, **fields}


@asynccontextmanager
async def asking(
    url: str,
    question: str | list[dict[str, Any]],
    *,
    model: str = "auto",
    headers: Mapping[str, str] | None = None,
    trusting: ssl.SSLContext | bool = True,
    **fields: Any,
) -> AsyncIterator[ServedAnswer]:
    """Ask, streamed; leaving the block closes the connection. `trusting` is for https."""
    body = chat_body(question, model=model, **fields)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body, headers=headers, ssl=trusting) as response,
    ):
        yield ServedAnswer(response)


async def ask(url: str, question: str | list[dict[str, Any]], **fields: Any) -> ServedAnswer:
    """Ask and read the whole stream."""
    async with asking(url, question, **fields) as answer:
        assert answer.response.status == 200, await answer.response.text()
        return await answer.read_all()
