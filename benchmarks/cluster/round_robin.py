"""Clients behind a proxy without sticky sessions: each request may reach another server, and no client notices."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from aiostream_server.client import StreamClient
from aiostream_server.events import Event, RunFinished, Token
from benchmarks.cluster.nodes import running_cluster
from benchmarks.cluster.proxy import nginx
from benchmarks.figures import Figure
from benchmarks.soak.client import fetch, request
from benchmarks.soak.provider import ENDLESS, Plan

_PLAN: Final = Plan(tokens=20, pause_s=0.02)
_REPEATS: Final = 4
_AT_ONCE: Final = 4


async def measure(folder: Path, *, times: int) -> list[Figure]:
    async with running_cluster(folder, 2) as cluster:
        async with (
            nginx(folder, [node.port for node in cluster.nodes]) as port,
            StreamClient(f"http://127.0.0.1:{port}") as client,
        ):
            resumed = await _count(times, lambda: _resume(client))
            cancelled = await _count(times, lambda: _cancel(client))
            listed = await _count(times, lambda: _list(client))
            once = await _count(times, lambda: _repeat(port))
        shares = [len(cluster.logged(node, "run_finished")) for node in cluster.nodes]
    told = "; ".join(f"{share} runs" for share in shares)
    return [
        Figure("two servers, every request to the next one", told, "both", all(shares)),
        *(
            Figure(what, f"{count} of {times}", "all", count == times)
            for what, count in (
                ("resumed after each fifth event, by another request: the whole answer, each event once", resumed),
                ("cancelled by another request", cancelled),
                ("found in the list, and by its id", listed),
                (f"asked {_REPEATS} times at once with one idempotency key: one run", once),
            )
        ),
    ]


async def _count(times: int, attempt: Callable[[], Awaitable[bool]]) -> int:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one() -> bool:
        async with at_once:
            return await attempt()

    return sum(await asyncio.gather(*(one() for _ in range(times))))


async def _resume(client: StreamClient) -> bool:
    """Leaves the stream after every fifth event, and attaches behind it."""
    run_id, after = await client.start(_PLAN.question(), model="solo"), 0
    heard: list[Event] = []
    while not heard or not isinstance(heard[-1], RunFinished):
        stream = client.attach(run_id, after=after)
        taken = 0
        async for event in stream:
            heard.append(event)
            taken += 1
            if taken == 5:
                break
        after = stream.last_seq
        await stream.aclose()
        if not taken:
            return False
    said = [int(event.content.partition("@")[0].removeprefix("[")) for event in heard if isinstance(event, Token)]
    return said == list(range(1, _PLAN.tokens + 1)) and isinstance(heard[-1], RunFinished)


async def _cancel(client: StreamClient) -> bool:
    stream = client.stream(ENDLESS.question(), model="solo")
    async for event in stream:
        if isinstance(event, Token) and stream.run_id is not None:
            await client.cancel(stream.run_id)
    return stream.finished is not None and stream.finished.reason == "cancelled"


async def _list(client: StreamClient) -> bool:
    run_id = await client.start(_PLAN.question(), model="solo")
    listed = {run.id for run in await client.runs()} | {run.id for run in await client.runs()}
    found = {(await client.run(run_id)).id for _ in range(2)}
    return run_id in listed and found == {run_id}


async def _repeat(port: int) -> bool:
    messages = [{"role": "user", "content": _PLAN.question()}]
    body = {"model": "solo", "background": True, "messages": messages}
    asked = request("/v1/runs", body, f"Idempotency-Key: {uuid4()}")
    runs = await asyncio.gather(*(fetch(port, asked) for _ in range(_REPEATS)))
    return len({run["id"] for run in runs}) == 1
