"""Redis is away: streams go on, new questions are answered, and afterwards the log of every run is whole again."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cluster.nodes import Cluster, running_cluster
from benchmarks.cluster.views import View, faults, meanings_twice, start_run, start_runs, until_ended, watch_run
from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.redis import RedisServer
from benchmarks.soak.provider import Plan

_PAUSE_S: Final = 0.1
_BEFORE_S: Final = 2.0
_AFTER_S: Final = 5.0
_SETTLE_S: Final = 1.0
_EACH_S: Final = 0.5
_GIVE_UP_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    name: str
    begin: Callable[[RedisServer], Awaitable[None]]
    end: Callable[[RedisServer], Awaitable[None]]


async def _freeze(redis: RedisServer) -> None:
    redis.send_signal(signal.SIGSTOP)


async def _thaw(redis: RedisServer) -> None:
    redis.send_signal(signal.SIGCONT)


OUTAGES: Final = (
    Outage("killed, with all data", RedisServer.kill, RedisServer.start),
    Outage("silent", _freeze, _thaw),
)


async def measure(folder: Path, *, seconds: float, runs: int) -> list[Figure]:
    figures = []
    for at, outage in enumerate(OUTAGES):
        (place := folder / str(at)).mkdir()
        figures += await _one(place, outage, seconds, runs)
    return figures


async def _one(folder: Path, outage: Outage, seconds: float, runs: int) -> list[Figure]:
    plan = Plan(round((_BEFORE_S + seconds + _AFTER_S) / _PAUSE_S), pause_s=_PAUSE_S)
    async with running_cluster(folder, 2) as cluster:
        here, there = cluster.nodes
        local = await start_runs(here.port, plan, runs)
        remote = [await watch_run(there.port, view.run_id) for view in local]
        await asyncio.sleep(_BEFORE_S)
        await outage.begin(cluster.redis)
        gone_at = time.monotonic()
        asked = await _ask_meanwhile(here.port, gone_at + seconds)
        await outage.end(cluster.redis)
        back_at = time.monotonic()
        await until_ended([*local, *remote, *asked], _GIVE_UP_S)
        kept = [await watch_run(there.port, view.run_id) for view in local]
        await until_ended(kept, _GIVE_UP_S)
        lines = _outages_told(cluster)
    name = f"Redis {outage.name}"
    late_s = [each for view in local for each in _lateness(view, gone_at, back_at)]
    whole = sum(map(_is_whole, local, remote, kept))
    answered = sum(view.reason == "stop" for view in asked)
    return [
        Figure(f"{name}: for", f"{seconds:.0f} s, {runs} runs of 10 tokens a second"),
        Figure(f"{name}: lateness of tokens meanwhile", f"p99 {milliseconds(percentile(late_s, 99))}"),
        Figure(f"{name}: questions answered meanwhile", f"{answered} of {len(asked)}", "all", answered == len(asked)),
        Figure(
            f"{name}: streams that are the same here, there, and afterwards", f"{whole} of {runs}", "all", whole == runs
        ),
        Figure(f"{name}: lines in each log", ", ".join(map(str, lines)), "1, 1", lines == [1, 1]),
    ]


async def _ask_meanwhile(port: int, until: float) -> list[View]:
    asked = []
    while time.monotonic() < until:
        asked.append(await start_run(port, Plan(tokens=3)))
        await asyncio.sleep(min(_EACH_S, max(0.0, until - time.monotonic())))
    return asked


def _lateness(view: View, since: float, until: float) -> Sequence[float]:
    return [event.came - event.left for event in view.seen if event.left is not None and since < event.left < until]


def _is_whole(local: View, remote: View, kept: View) -> bool:
    views = (local, remote, kept)
    return (
        all(view.reason == "stop" and not faults(view.seen) for view in views)
        and not meanings_twice(views)
        and all(event.kind != "dropped" for view in views for event in view.seen)
    )


def _outages_told(cluster: Cluster) -> list[int]:
    return [len(cluster.logged(node, "redis_unavailable")) for node in cluster.nodes]
