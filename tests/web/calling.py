"""A caller of JSON-RPC methods over a real socket, one call at a time."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(slots=True)
class Answered:
    """One answer. `body` is its JSON, or of a stream each frame's that was read."""

    response: aiohttp.ClientResponse
    body: dict[str, Any] = field(default_factory=dict)
    frames: list[dict[str, Any]] = field(default_factory=list)

    @property
    def error(self) -> tuple[int, int, str]:
        """Status, number and message."""
        error = self.body["error"]
        return self.response.status, error["code"], error["message"]

    async def stream(self) -> AsyncIterator[dict[str, Any]]:
        """The JSON of each frame, as it arrives."""
        async for line in self.response.content:
            if line.startswith(b"data: "):
                self.frames.append(json.loads(line[6:]))
                yield self.frames[-1]

    async def read_all(self) -> "Answered":
        async for _ in self.stream():
            pass
        return self


@dataclass(frozen=True, slots=True)
class Caller:
    """`headers` go with each call."""

    session: aiohttp.ClientSession
    url: str
    headers: Mapping[str, str]

    @asynccontextmanager
    async def open(self, method: str, params: Any = None, **headers: str) -> AsyncIterator[Answered]:
        """Leaving the block closes a stream."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params})}
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.post(self.url, json=body, headers=sent) as response:
            yield Answered(response)

    async def call(self, method: str, params: Any = None, **headers: str) -> Answered:
        """The whole answer, streamed or not."""
        async with self.open(method, params, **headers) as answered:
            if answered.response.content_type == "text/event-stream":
                return await answered.read_all()
            answered.body = json.loads(await answered.response.text() or "{}")
            return answered


@asynccontextmanager
async def calling(url: str, **headers: str) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession() as session:
        yield Caller(session, url, {name.replace("_", "-"): value for name, value in headers.items()})
