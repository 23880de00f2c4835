"""The network between a server and Redis is cut, while clients still reach both servers, and comes back.

The server that is cut off stands in a network namespace of its own, with one virtual cable to Redis and one to the
clients; needs root and iproute2. Its provider stands there as well.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cluster.nodes import LEASE_S, shared_in
from benchmarks.cluster.views import faults, meanings_twice, start_run, start_runs, until_ended, watch_run
from benchmarks.figures import Figure, milliseconds
from benchmarks.processes import Server, new_key, output_of, python_module, server
from benchmarks.redis import running_redis
from benchmarks.soak.client import provider
from benchmarks.soak.provider import Plan

_NAMESPACE: Final = f"aiostream-{os.getpid()}"
_SPEAKING: Final = Plan(tokens=100_000, pause_s=0.1)
_TALK_S: Final = 1.0
_MAX_TOLD_S: Final = 5.0
_GIVE_UP_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Cable:
    """Addresses of both ends; `name` is that of the interface here."""

    name: str
    here: str
    there: str

    async def connect(self) -> None:
        await _ip("link", "add", self.name, "type", "veth", "peer", "name", self.name, "netns", _NAMESPACE)
        await _ip("addr", "add", f"{self.here}/30", "dev", self.name)
        await _ip("link", "set", self.name, "up")
        await _ip("-n", _NAMESPACE, "addr", "add", f"{self.there}/30", "dev", self.name)
        await _ip("-n", _NAMESPACE, "link", "set", self.name, "up")

    async def cut(self) -> None:
        await _ip("-n", _NAMESPACE, "link", "set", self.name, "down")

    async def mend(self) -> None:
        await _ip("-n", _NAMESPACE, "link", "set", self.name, "up")

    async def remove(self) -> None:
        await _ip("link", "delete", self.name)


_TO_REDIS: Final = _Cable("soak-redis", "10.213.78.1", "10.213.78.2")
_TO_CLIENTS: Final = _Cable("soak-clients", "10.213.79.1", "10.213.79.2")


async def measure(folder: Path, *, runs: int) -> list[Figure]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return [Figure("network cuts", "SKIPPED: they need root and iproute2 (apt-get install iproute2)")]
    async with _two_servers(folder) as (cut_off, other, bearer):
        here = await start_runs(cut_off.port, _SPEAKING, runs, bearer, host=_TO_CLIENTS.there)
        there = [await watch_run(other.port, view.run_id, 0, bearer) for view in here]
        await asyncio.sleep(_TALK_S)
        cut_at = time.monotonic()
        await _TO_REDIS.cut()
        await until_ended(there, _GIVE_UP_S)
        ends_s = max(view.ended_at for view in there) - cut_at
        spoke = sum(
            view.seen[-1].came > view_there.ended_at - 0.5 for view, view_there in zip(here, there, strict=True)
        )
        alone = await start_run(cut_off.port, Plan(tokens=3), bearer, host=_TO_CLIENTS.there)
        await until_ended([alone], _GIVE_UP_S)
        await _TO_REDIS.mend()
        mended_at = time.monotonic()
        await until_ended(here, _GIVE_UP_S)
        told_s = max(view.ended_at for view in here) - mended_at
        kept = [await watch_run(cut_off.port, view.run_id, 0, bearer, host=_TO_CLIENTS.there) for view in here]
        found = await watch_run(other.port, alone.run_id, 0, bearer)
        await until_ended([*kept, found], _GIVE_UP_S)
    of_run = list(zip(here, there, kept, strict=True))
    well = sum(view.is_well_formed for views in of_run for view in views)
    wrong = sum(faults(view.seen) for views in of_run for view in views)
    twice = sum(map(meanings_twice, of_run))
    same = sum(far.seen[-1].data == again.seen[-1].data for _, far, again in of_run)
    max_end_s = 1.25 * LEASE_S
    return [
        Figure("one of two servers without Redis", f"{runs} runs, each viewed at both"),
        Figure("the other ends its runs", f"{ends_s:.2f} s after the cut", f"<= {max_end_s} s", ends_s <= max_end_s),
        Figure("its own clients get tokens all the while", f"{spoke} of {runs} streams", "all", spoke == runs),
        Figure("and a new answer", alone.reason or "none", "stop", alone.reason == "stop"),
        Figure(
            "its clients are told, after the network is back", milliseconds(told_s), "<= 5 s", told_s <= _MAX_TOLD_S
        ),
        Figure("streams that end well-formed", f"{well} of {3 * runs}", "all", well == 3 * runs),
        Figure("runs with one end, which both servers tell from then on", f"{same} of {runs}", "all", same == runs),
        Figure("gaps that are not told", str(wrong), "0", not wrong),
        Figure("numbers with two meanings", str(twice), "0", not twice),
        Figure("the new answer is found at the other", found.reason or "no", "stop", found.reason == "stop"),
    ]


@asynccontextmanager
async def _two_servers(folder: Path) -> AsyncIterator[tuple[Server, Server, str]]:
    """The first is in the namespace. And the header with the key that both know."""
    within = ("ip", "netns", "exec", _NAMESPACE)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_cables())
        redis = await stack.enter_async_context(running_redis(folder, host=_TO_REDIS.here))
        port = await stack.enter_async_context(provider())
        _, port_there = await stack.enter_async_context(python_module("benchmarks.soak.provider", within=within))
        servers, bearer = [], await new_key(folder / "keys.json")
        for name, provider_port, command in (("cut", port_there, within), ("other", port, ())):
            (place := folder / name).mkdir()
            host = _TO_CLIENTS.there if command else "127.0.0.1"
            settings = shared_in(redis, {"server": {"host": host}, "auth": {"keys_file": str(folder / "keys.json")}})
            servers.append(await stack.enter_async_context(server(provider_port, place, command, **settings)))
        yield servers[0], servers[1], bearer


@asynccontextmanager
async def _cables() -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await _ip("netns", "add", _NAMESPACE)
        stack.push_async_callback(_ip, "netns", "delete", _NAMESPACE)
        await _ip("-n", _NAMESPACE, "link", "set", "lo", "up")
        for cable in (_TO_REDIS, _TO_CLIENTS):
            await cable.connect()
            stack.push_async_callback(cable.remove)
        yield


async def _ip(*arguments: str) -> None:
    await output_of("ip", *arguments)
