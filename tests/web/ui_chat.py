"""A page's chat, as the AI SDK sends and reads it, without the AI SDK: frames, and the message that they build."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp


@dataclass(slots=True)
class UIStream:
    """One response; `raw` is its body so far."""

    response: aiohttp.ClientResponse
    raw: bytes = b""
    chunks: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, kind: str) -> "UIStream":
        """Read until a chunk of this type, or to the end."""
        async for line in self.response.content:
            self.raw += line
            if line.startswith(b"data: {"):
                self.chunks.append(json.loads(line[6:]))
                if self.chunks[-1]["type"] == kind:
                    break
        return self

    async def read_all(self) -> "UIStream":
        return await self.until("")

    @property
    def run_id(self) -> str:
        return self.response.headers["X-Run-Id"]

    @property
    def kinds(self) -> list[str]:
        return [chunk["type"] for chunk in self.chunks]

    @property
    def text(self) -> str:
        return "".join(chunk["delta"] for chunk in self.chunks if chunk["type"] == "text-delta")

    def only(self, kind: str) -> dict[str, Any]:
        (chunk,) = (chunk for chunk in self.chunks if chunk["type"] == kind)
        return chunk


def said_by(role: str, *parts: str | Mapping[str, Any], message_id: str = "m") -> dict[str, Any]:
    """A `UIMessage`; text stands for a text part."""
    as_parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"id": message_id, "role": role, "parts": as_parts}


@asynccontextmanager
async def chatting(
    url: str,
    *messages: str | dict[str, Any],
    model: str = "solo",
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> AsyncIterator[UIStream]:
    """Ask; leaving the block closes the connection. Text is what the user says."""
    sent = [said_by("user", message) if isinstance(message, str) else message for message in messages]
    body = {**({"messages": sent} if sent else {}), "trigger": "submit-message", **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/ai-sdk/{model}", json=body, headers=headers) as response,
    ):
        yield UIStream(response)


async def chat(url: str, *messages: str | dict[str, Any], **fields: Any) -> UIStream:
    async with chatting(url, *messages, **fields) as stream:
        assert stream.response.status == 200, await stream.response.text()
        return await stream.read_all()


@asynccontextmanager
async def resuming(
    url: str, chat_id: str, *, model: str = "solo", headers: Mapping[str, str] | None = None
) -> AsyncIterator[UIStream]:
    """What `useChat` asks with `resume: true`."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/ai-sdk/{model}/{chat_id}/stream", headers=headers) as response,
    ):
        yield UIStream(response)


async def stop(
    url: str, chat_id: str, *, model: str = "solo", headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/ai-sdk/{model}/{chat_id}/stop", headers=headers) as response,
    ):
        return response.status, None if response.status == 204 else await response.json()
