"""The parts of `scripts/soak cluster` that no other test shows, in a short form: what they count, not how long it took.

`tests/service/test_cluster.py` has what a process does that was killed or paused, and Redis that is away;
`tests/runs/shared/test_limits.py` has the limits.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks.cluster import cuts, round_robin, upgrade
from benchmarks.figures import Figure
from benchmarks.processes import STARTED_BY, Process
from tests.kit.forkserver import fork

pytestmark = pytest.mark.needs("redis")


async def start_fork(command: Sequence[str], env: Mapping[str, str], *, stderr: int) -> Process:
    return await fork(command, env, stdout=asyncio.subprocess.DEVNULL, stderr=stderr)


async def check(measured: Awaitable[list[Figure]]) -> None:
    STARTED_BY.set(start_fork)
    missed = [each for each in await measured if each.is_met is False and not re.search(r"\bm?s\b", each.target)]
    assert not missed, missed


@pytest.mark.needs("nginx")
async def test_a_rolling_upgrade_refuses_nothing_and_breaks_no_answer(tmp_path: Path) -> None:
    """Behind nginx, which keeps connections to a server that stops."""
    await check(upgrade.measure(tmp_path, clients=8, rolls=1))


@pytest.mark.needs("nginx")
async def test_clients_of_a_proxy_without_sticky_sessions_find_their_runs(tmp_path: Path) -> None:
    await check(round_robin.measure(tmp_path, times=6))


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2")
async def test_a_server_that_is_cut_off_changes_nothing_of_what_others_have_ended(tmp_path: Path) -> None:
    await check(cuts.measure(tmp_path, runs=5))
