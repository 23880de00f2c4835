"""Full collections are made when no run is live, and the collector's settings are restored at the end."""

import asyncio
import gc

import pytest

from aiostream_server.service.event_loop import collect_garbage, is_collection_due, memory_bytes
from tests.kit.waiting import wait_for
from tests.runs.running import runs_of


@pytest.mark.parametrize(
    ("dead", "grown_mib", "live", "due"),
    [
        (0, 0, 0, False),
        (1, 0, 0, True),
        (1, 0, 5, False),
        (9_999, 255, 5, False),
        (1, 256, 5, True),
        (0, 999, 5, False),
    ],
)
def test_when_a_collection_is_due(dead: int, grown_mib: int, live: int, due: bool) -> None:
    assert is_collection_due(dead, grown_mib * 1024**2, live=live) is due


async def test_memory_is_that_of_the_process() -> None:
    """Linux counts the pages of each processor, and adds them up later."""
    before = memory_bytes()
    held = b"x" * 64 * 1024**2
    await wait_for(lambda: memory_bytes() - before > 48 * 1024**2, "it has grown")
    del held


async def test_thresholds_are_restored_at_the_end() -> None:
    before = gc.get_threshold()
    collecting = asyncio.create_task(collect_garbage(runs_of(object).registry))
    await asyncio.sleep(0)
    assert gc.get_threshold()[0] > before[0]
    assert gc.get_freeze_count() > 0
    collecting.cancel()
    await asyncio.wait((collecting,))
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_dead_runs_are_collected_once_nothing_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiostream_server.service.event_loop._GC_INTERVAL_S", 0.01)
    runs = runs_of(object)
    collections = gc.get_stats()[2]["collections"]
    collecting = asyncio.create_task(collect_garbage(runs.registry))
    await (await runs.start()).wait()
    await wait_for(lambda: gc.get_stats()[2]["collections"] >= collections + 2, "two full collections")
    collecting.cancel()
    await asyncio.wait((collecting,))
