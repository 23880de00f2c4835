"""A viewer of `/v1/runs`: starts, reads and cancels runs over real sockets; and a server of one agent to view."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from aiostream_server.config.model import LimitsConfig
from tests.kit.scripted_provider import HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, chat_body, config_for, sample_team, serving
from tests.kit.waiting import wait_for

WORDS = [f"w{number} " for number in range(12)]


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it came: `raw` is its bytes."""

    kind: str
    number: int
    body: dict[str, Any]
    raw: bytes


@dataclass(slots=True)
class View:
    """One stream of events."""

    response: aiohttp.ClientResponse
    seen: list[Seen] = field(default_factory=list)
    retry: list[bytes] = field(default_factory=list)
    comments: int = 0

    @property
    def run_id(self) -> str:
        return self.response.headers["X-Run-Id"]

    @property
    def numbers(self) -> list[int]:
        return [event.number for event in self.seen]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.seen]

    @property
    def raw(self) -> bytes:
        return b"".join(event.raw for event in self.seen)

    @property
    def told(self) -> list[tuple[str, int, dict[str, Any]]]:
        """All but the times: of tokens that come from another process in one message, each is shown with the last's."""
        return [
            (event.kind, event.number, {key: value for key, value in event.body.items() if key != "timestamp"})
            for event in self.seen
        ]

    @property
    def text(self) -> str:
        return "".join(event.body["content"] for event in self.seen if event.kind == "token")

    async def events(self) -> AsyncIterator[Seen]:
        """Each as it arrives; every block is an event, a heartbeat or the one `retry`."""
        block = b""
        async for line in self.response.content:
            block += line
            if line != b"\n":
                continue
            if block.startswith(b":"):
                self.comments += 1
            elif block.startswith(b"retry:"):
                self.retry.append(block)
            else:
                self.seen.append(parse(block))
                yield self.seen[-1]
            block = b""
        assert not block, "the last event is whole"

    async def until(self, number: int) -> "View":
        async for event in self.events():
            if event.number >= number:
                break
        return self

    async def read_all(self) -> "View":
        async for _ in self.events():
            pass
        return self


def parse(block: bytes) -> Seen:
    """`event`, `id` and `data`, in that order, and what they say agrees."""
    names, values = zip(*(line.split(": ", 1) for line in block.decode("ascii").splitlines()[:-1]), strict=True)
    assert names == ("event", "id", "data")
    body = json.loads(values[2])
    assert (body["type"], body["seq"]) == (values[0], int(values[1]))
    assert len(block) < 64 * 1024
    return Seen(values[0], int(values[1]), body, block)


@asynccontextmanager
async def starting(
    url: str, question: str, *, headers: Mapping[str, str] | None = None, **fields: Any
) -> AsyncIterator[View]:
    """Start a run and watch it; leaving the block closes the connection."""
    body = chat_body(question, **fields)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/runs", json=body, headers=headers) as response,
    ):
        yield View(response)


@asynccontextmanager
async def watching(
    url: str, run_id: str, *, headers: Mapping[str, str] | None = None, **query: str
) -> AsyncIterator[View]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/runs/{run_id}/events", params=query, headers=headers) as response,
    ):
        yield View(response)


async def watch_all(url: str, run_id: str, after: int | None = None) -> View:
    """The rest of a run, to its end."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with watching(url, run_id, headers=headers) as view:
        assert view.response.status == 200, await view.response.text()
        return await view.read_all()


async def start_in_background(url: str, question: str, **fields: Any) -> dict[str, Any]:
    """The run object of a 202."""
    async with starting(url, question, background=True, **fields) as view:
        assert view.response.status == 202, await view.response.text()
        run: dict[str, Any] = await view.response.json()
        return run


async def call(method: str, url: str, **settings: Any) -> tuple[int, Any]:
    """Status and JSON."""
    async with aiohttp.ClientSession() as session, session.request(method, url, **settings) as response:
        return response.status, await response.json()


async def cancel(url: str, run_id: str) -> dict[str, Any]:
    status, run = await call("POST", f"{url}/v1/runs/{run_id}/cancel")
    assert status == 200
    assert isinstance(run, dict)
    return run


@asynccontextmanager
async def solo(
    tmp_path: Path, *answers: ScriptedAnswer | HttpError, team: dict[str, Any] | None = None, **limits: Any
) -> AsyncIterator[Server]:
    """One agent, and what its model says."""
    async with ScriptedProvider() as provider:
        provider.script(*answers)
        config = config_for(provider.base_url, sample_team("solo", **(team or {})), limits=LimitsConfig(**limits))
        async with serving(config, tmp_path) as server:
            yield server


async def until_queued(server: Server, count: int) -> None:
    await wait_for(lambda: server.state.registry.queued == count, f"{count} in the queue")
