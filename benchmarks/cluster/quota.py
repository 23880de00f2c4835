"""Many questions at once to several servers with one limit: it is never exceeded, and no slot is idle."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cluster.nodes import running_cluster
from benchmarks.cluster.views import View, start_run, until_ended
from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.redis import RedisServer
from benchmarks.soak.provider import Plan

_ANSWER: Final = Plan(tokens=10, pause_s=0.1)
_LOOK_S: Final = 0.002
_MAX_IDLE_S: Final = 0.1
_GIVE_UP_S: Final = 120.0
_GIVEN_BACK_S: Final = 2.0


@dataclass(slots=True)
class _Watched:
    """What Redis has said while the questions were waiting. `idle_s` is how long it held back a free slot at most."""

    most: int = 0
    looks: int = 0
    idle_s: float = 0.0

    async def watch(self, redis: RedisServer, limit: int) -> None:
        loop = asyncio.get_running_loop()
        idle_since: float | None = None
        while True:
            async with redis.client.pipeline(transaction=True) as both:
                both.hlen(redis.key("slots"))
                both.zcard(redis.key("queue"))
                taken, waiting = await both.execute()
            self.looks += 1
            self.most = max(self.most, taken)
            if taken < limit and waiting:
                idle_since = idle_since or loop.time()
                self.idle_s = max(self.idle_s, loop.time() - idle_since)
            else:
                idle_since = None
            await asyncio.sleep(_LOOK_S)


async def measure(folder: Path, *, nodes: int, limit: int, questions: int) -> list[Figure]:
    limits: dict[str, object] = {"max_runs": limit, "queue_size": questions, "queue_timeout_s": _GIVE_UP_S}
    async with running_cluster(folder, nodes, limits=limits) as cluster:
        watched = _Watched()
        watching = asyncio.create_task(watched.watch(cluster.redis, limit))
        ports = [node.port for node in cluster.nodes]
        views = await asyncio.gather(*(start_run(ports[at % nodes], _ANSWER) for at in range(questions)))
        await until_ended(views, _GIVE_UP_S)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        left = await _slots_left(cluster.redis)
    answered = sum(view.reason == "stop" for view in views)
    again_s = _taken_again(views)
    p50, p99 = milliseconds(percentile(again_s, 50)), milliseconds(percentile(again_s, 99))
    idle = f"p50 {p50}, p99 {p99}, most {milliseconds(max(again_s))}; in Redis {milliseconds(watched.idle_s)}"
    return [
        Figure("questions", f"{questions} at once to {nodes} servers, limit {limit}"),
        Figure("answered whole", f"{answered} of {questions}", "all", answered == questions),
        Figure(
            "slots held at once", f"{watched.most} (looked {watched.looks} times)", str(limit), watched.most == limit
        ),
        Figure("live runs at once, as clients see them", str(_most_at_once(views))),
        Figure(
            "from the end of a run to the start of the next in its slot, as clients see them",
            idle,
            f"<= {milliseconds(_MAX_IDLE_S)}",
            max(again_s) <= _MAX_IDLE_S,
        ),
        Figure("slots that are not free again", str(left), "0", not left),
    ]


async def _slots_left(redis: RedisServer) -> int:
    """Those that are not given back a moment after the last run."""
    deadline = asyncio.get_running_loop().time() + _GIVEN_BACK_S
    while (left := int(await redis.client.hlen(redis.key("slots")))) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_S)
    return left


def _moments(views: Sequence[View]) -> list[tuple[float, int]]:
    """When runs start (+1) and end (-1), in order."""
    whole = [view.seen for view in views if view.reason]
    return sorted([*((seen[0].came, 1) for seen in whole), *((seen[-1].came, -1) for seen in whole)])


def _most_at_once(views: Sequence[View]) -> int:
    live = most = 0
    for _, step in _moments(views):
        live += step
        most = max(most, live)
    return most


def _taken_again(views: Sequence[View]) -> list[float]:
    """From each end to the start of the run that has taken the slot, while there are runs that wait."""
    ended: deque[float] = deque()
    took_s = []
    for at, step in _moments(views):
        if step < 0:
            ended.append(at)
        elif ended:
            took_s.append(at - ended.popleft())
    return took_s or [0.0, 0.0]
