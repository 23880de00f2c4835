"""`kill -9` of a server under many runs: their streams elsewhere end well-formed, and so do those that reconnect."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.cluster.nodes import LEASE_S, Cluster, running_cluster
from benchmarks.cluster.views import View, faults, meanings_twice, start_runs, until_ended, watch_run
from benchmarks.figures import Figure, milliseconds, percentile
from benchmarks.soak.provider import Plan

_SPEAKING: Final = Plan(tokens=100_000, pause_s=0.1)
_MAX_END_S: Final = 1.25 * LEASE_S
_MAX_LOST_S: Final = 0.2
_TALK_S: Final = 1.0
_GIVE_UP_S: Final = 20.0


@dataclass(slots=True)
class _Deaths:
    """Of all rounds. `lost_s` is the age of the oldest event that a client saw and that nothing repeats."""

    streams: int = 0
    well_formed: int = 0
    untold: int = 0
    twice: int = 0
    slots: int = 0
    ends_s: list[float] = field(default_factory=list)
    lost_s: list[float] = field(default_factory=list)


async def measure(folder: Path, *, runs: int, rounds: int) -> list[Figure]:
    """Half of the runs have a viewer at the other server as well, which is written and published sooner."""
    found = _Deaths()
    async with running_cluster(folder, 2) as cluster:
        for _ in range(rounds):
            await _kill_one(cluster, found, runs)
    within = sum(each <= _MAX_END_S for each in found.ends_s)
    late = f"{len(found.ends_s) - within} of {len(found.ends_s)} later"
    ends = f"p50 {percentile(found.ends_s, 50):.2f} s, most {max(found.ends_s):.2f} s, {late}"
    lost = max(found.lost_s, default=0.0)
    all_well = found.well_formed == found.streams
    return [
        Figure("kill -9", f"{rounds} times {runs} runs"),
        Figure("streams that end well-formed", f"{found.well_formed} of {found.streams}", "all", all_well),
        Figure("end after the kill", ends, f"<= {_MAX_END_S:.1f} s", within == len(found.ends_s)),
        Figure(
            "shown before the kill and lost",
            f"p50 {milliseconds(percentile(found.lost_s, 50))}, most {milliseconds(lost)}",
            f"<= {milliseconds(_MAX_LOST_S)}",
            lost <= _MAX_LOST_S,
        ),
        Figure("gaps that are not told", str(found.untold), "0", not found.untold),
        Figure("numbers with two meanings", str(found.twice), "0", not found.twice),
        Figure("slots that are not free again", str(found.slots), "0", not found.slots),
    ]


async def _kill_one(cluster: Cluster, found: _Deaths, runs: int) -> None:
    dying, other = cluster.nodes[-2:]
    shown = await start_runs(dying.port, _SPEAKING, runs)
    elsewhere = [await watch_run(other.port, view.run_id) for view in shown[::2]]
    await asyncio.sleep(_TALK_S)
    killed_at = time.monotonic()
    dying.process.kill()
    await until_ended(shown, _GIVE_UP_S)
    resumed = [await watch_run(other.port, view.run_id, view.last) for view in shown]
    await until_ended([*elsewhere, *resumed], _GIVE_UP_S)
    found.streams += len(elsewhere) + len(resumed)
    found.well_formed += sum(view.is_well_formed for view in (*elsewhere, *resumed))
    found.ends_s += [view.seen[-1].came - killed_at for view in (*elsewhere, *resumed) if view.reason]
    found.untold += sum(faults(view.seen) for view in (*shown, *elsewhere))
    found.untold += sum(faults(after.seen, view.last) for view, after in zip(shown, resumed, strict=True))
    await _compare(other.port, shown, elsewhere, found, killed_at)
    found.slots += int(await cluster.redis.client.hlen(cluster.redis.key("slots")))
    await cluster.start()


async def _compare(
    port: int, shown: Sequence[View], elsewhere: Sequence[View], found: _Deaths, killed_at: float
) -> None:
    """With what the server that took the runs over has of them."""
    others = {view.run_id: view for view in elsewhere}
    kept = [await watch_run(port, view.run_id) for view in shown]
    await until_ended(kept, _GIVE_UP_S)
    for view, whole in zip(shown, kept, strict=True):
        views = [view, whole, *filter(None, [others.get(view.run_id)])]
        found.twice += meanings_twice(views)
        numbers = {event.number for event in whole.seen}
        lost = [event.left for event in view.seen if event.number not in numbers and event.left is not None]
        found.lost_s.append(killed_at - min(lost) if lost else 0.0)
