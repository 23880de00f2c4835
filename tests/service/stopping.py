"""Servers that are stopped, and what their clients see."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.kit.process import ServerProcess, serving_process
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.serving import get_json
from tests.kit.waiting import wait_for

NOISE_S = 15.0
"""The share of a busy machine in a time. What a stopping server must not wait for takes 20 s and more."""

TEAMS = {
    "solo": "tests.kit.sample_teams:solo",
    "deaf": "tests.kit.sample_teams:deaf",
    "sync-tool": "tests.service.teams:with_sync_tool",
    "blocking": "tests.service.teams:blocks_the_loop",
    "blocking-for-a-while": "tests.service.teams:blocks_the_loop_for_a_while",
    "stumbling": "tests.service.teams:stumbles",
    "blocking-tool": "tests.service.teams:blocks_in_a_tool",
    "holding-tool": "tests.service.teams:holds_the_lock_in_a_thread",
    "blocking-agent": "tests.service.teams:blocks_in_an_agent",
    "deaf-for-ever": "tests.service.teams:deaf_for_ever",
}


@asynccontextmanager
async def stoppable(
    folder: Path,
    provider: ScriptedProvider,
    *,
    loop: str = "uvloop",
    limits: str = "",
    **server: float | str,
) -> AsyncIterator[ServerProcess]:
    """A server with all of `TEAMS`, and these keys in `[server]`."""
    keys = "\n".join(f"{key} = {value}" for key, value in server.items())
    teams = "\n".join(f'[[teams]]\nid = "{name}"\nfactory = "{factory}"' for name, factory in TEAMS.items())
    model = f'[models.default]\nprovider = "openai"\nmodel = "scripted"\nbase_url = "{provider.base_url}"'
    head = f'[server]\nport = 0\nlog_format = "json"\nloop = "{loop}"'
    config = f"{head}\n{keys}\n[limits]\n{limits}\n{model}\n{teams}\n"
    async with serving_process(config, folder) as process:
        yield process


async def seconds_to_end(server: ServerProcess, *, since: float) -> float:
    """Wait for the end of the process. Its status must be 0."""
    assert await server.end() == 0, server.lines
    return time.monotonic() - since


async def until_refused(server: ServerProcess) -> None:
    """Wait until the listening socket is closed."""

    async def is_refused() -> bool:
        try:
            async with connected(server):
                return False
        except ConnectionRefusedError:
            return True

    await wait_for(is_refused, "a closed listening socket")


async def until_read(server: ServerProcess) -> None:
    """Wait until the server has read what was sent before: it has, when it answers on a newer connection."""
    for _ in range(2):  # its loop may find both connections readable at once
        assert (await get_json(f"{server.url}/healthz"))["status"] == "ok"


async def until_ready_says(server: ServerProcess, **facts: object) -> None:
    """Wait until `/readyz` tells these facts, such as `queued=1`."""

    async def is_told() -> bool:
        ready = await get_json(f"{server.url}/readyz")
        return all(ready[name] == value for name, value in facts.items())

    await wait_for(is_told, f"{facts} at /readyz")


@asynccontextmanager
async def connected(server: ServerProcess) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection by hand, with a small buffer on this side."""
    port = int(server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_events(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    """The typed events of `/v1/runs`, to the end of the body, which must be well-formed."""
    text = (await response.read()).decode()
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
