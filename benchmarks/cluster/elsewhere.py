"""A viewer at another server than the one that drives its run: how much later it sees a token, how soon it cancels."""

import time
from pathlib import Path
from typing import Final

from benchmarks.cluster.nodes import running_cluster
from benchmarks.cluster.views import faults, meanings_twice, start_run, start_runs, until_ended, watch_run
from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.soak.client import fetch, request
from benchmarks.soak.provider import ENDLESS, Plan

_MAX_P50_S: Final = 0.012
_MAX_P99_S: Final = 0.05
_MAX_CANCEL_S: Final = 0.1
_GIVE_UP_S: Final = 60.0


async def measure(folder: Path, *, streams: int, tokens: int, cancels: int) -> list[Figure]:
    async with running_cluster(folder, 2) as cluster:
        here, there = cluster.nodes
        local = await start_runs(here.port, Plan(tokens, pause_s=0.05), streams)
        remote = [await watch_run(there.port, view.run_id) for view in local]
        await until_ended([*local, *remote], _GIVE_UP_S)
        cancelled_s = [await _cancel(here.port, there.port) for _ in range(cancels)]
    late_s = []
    for near, far in zip(local, remote, strict=True):
        came = {event.number: event.came for event in near.seen}
        live = [event for event in far.seen if event.kind == "token" and event.came - far.seen[0].came > 0.2]
        late_s += [event.came - came[event.number] for event in live]
    same = sum(
        near.seen[-1].data == far.seen[-1].data and not faults(far.seen) and not meanings_twice([near, far])
        for near, far in zip(local, remote, strict=True)
    )
    p50, p99 = percentile(late_s, 50), percentile(late_s, 99)
    cancel_s = percentile(cancelled_s, 99)
    return [
        Figure("viewers", f"{streams} runs, 20 tokens a second each, each viewed at both of two servers"),
        Figure("streams that are the same on both", f"{same} of {streams}", "all", same == streams),
        Figure("a token is later at the other, p50", milliseconds(p50), "<= 12 ms", p50 <= _MAX_P50_S),
        Figure("a token is later at the other, p99", milliseconds(p99), "<= 50 ms", p99 <= _MAX_P99_S),
        Figure("cancel at the other, until the client has the end, p50", milliseconds(percentile(cancelled_s, 50))),
        Figure(f"the same, p99 of {cancels}", milliseconds(cancel_s), "<= 100 ms", cancel_s <= _MAX_CANCEL_S),
    ]


async def _cancel(port: int, other_port: int) -> float:
    """Until the viewer at the run's own server has its end."""
    view = await start_run(port, ENDLESS)
    await view.spoken
    asked_at = time.monotonic()
    await fetch(other_port, request(f"/v1/runs/{view.run_id}/cancel", {}))
    await until_ended([view], _GIVE_UP_S)
    if view.reason != "cancelled":
        raise RuntimeError(f"the run {view.run_id} has ended with {view.reason or 'nothing'}")
    return view.seen[-1].came - asked_at
