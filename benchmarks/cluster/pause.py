"""A server that is stopped for longer than its lease (SIGSTOP) and continues can change nothing any more."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Final

from benchmarks.cluster.nodes import LEASE_S, running_cluster, send
from benchmarks.cluster.views import faults, meanings_twice, start_run, start_runs, until_ended, watch_run
from benchmarks.figures import Figure, milliseconds
from benchmarks.soak.provider import Plan

_SPEAKING: Final = Plan(tokens=100_000, pause_s=0.1)
_TALK_S: Final = 1.0
_GIVE_UP_S: Final = 20.0
_MAX_TOLD_S: Final = 1.0


async def measure(folder: Path, *, runs: int) -> list[Figure]:
    async with running_cluster(folder, 2) as cluster:
        paused, other = cluster.nodes
        here = await start_runs(paused.port, _SPEAKING, runs)
        there = [await watch_run(other.port, view.run_id) for view in here]
        await asyncio.sleep(_TALK_S)
        send(paused, signal.SIGSTOP)
        await until_ended(there, _GIVE_UP_S)
        await asyncio.sleep(LEASE_S)
        send(paused, signal.SIGCONT)
        continued_at = time.monotonic()
        await until_ended(here, _GIVE_UP_S)
        told_s = max(view.ended_at for view in here) - continued_at
        later = [await watch_run(port, view.run_id) for view in here for port in (paused.port, other.port)]
        await until_ended(later, _GIVE_UP_S)
        again = await start_run(paused.port, Plan(tokens=3))
        await until_ended([again], _GIVE_UP_S)
    kept = [(there[at], *later[2 * at : 2 * at + 2]) for at in range(runs)]
    of_run = [(local, *others) for local, others in zip(here, kept, strict=True)]
    well = sum(view.is_well_formed for views in of_run for view in views)
    ends = sum(len({view.seen[-1].data for view in views if view.seen}) == 1 for views in kept)
    wrong = sum(faults(view.seen) for views in of_run for view in views)
    twice = sum(map(meanings_twice, of_run))
    return [
        Figure("SIGSTOP", f"{runs} runs, for {2 * LEASE_S:.0f} s and more, twice the lease"),
        Figure("streams that end well-formed, on both servers", f"{well} of {4 * runs}", "all", well == 4 * runs),
        Figure("runs with one end, which both servers tell from then on", f"{ends} of {runs}", "all", ends == runs),
        Figure("its own clients are told, after SIGCONT", milliseconds(told_s), "<= 1 s", told_s <= _MAX_TOLD_S),
        Figure("gaps that are not told", str(wrong), "0", not wrong),
        Figure("numbers with two meanings", str(twice), "0", not twice),
        Figure("it serves again", again.reason or "no", "stop", again.reason == "stop"),
    ]
