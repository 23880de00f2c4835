"""The contract of `Starts`: one idempotency key starts one run, whatever happens to the callers.

That of one process, and that of several.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from aiostream_server.errors import Conflict, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.run import Run
from aiostream_server.runs.starts import Idempotency, MemoryStarts, Starts
from tests.kit.redis import STORES, RedisServer
from tests.kit.shared_runs import sharing
from tests.kit.waiting import wait_for
from tests.runs.running import new_run

OWNER: Final = Owner("key", "ann")
KEY: Final = Idempotency("k", "body")


@pytest.fixture(params=["memory", *STORES])
async def starts(request: pytest.FixtureRequest) -> AsyncIterator[Starts]:
    if request.param == "memory":
        yield MemoryStarts()
        return
    redis: RedisServer = request.getfixturevalue("redis_servers")(request.param)
    async with sharing(redis.url, request.getfixturevalue("redis_prefix")) as shared:
        yield shared.starts


class _Starting:
    """Starts runs, each once `go` is set; or raises `error`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = asyncio.Event()
        self.started: list[Run] = []
        self._error = error

    async def __call__(self) -> Run:
        await self.go.wait()
        if self._error is not None:
            raise self._error
        self.started.append(new_run(f"run-{len(self.started)}", OWNER))
        return self.started[-1]


async def _until_known(starts: Starts, key: Idempotency = KEY) -> None:
    """Wait until a run is being started by this key. Other processes may know any key."""
    await wait_for(lambda: starts.is_known(OWNER, key.key))
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_callers_at_once_start_one_run(starts: Starts) -> None:
    start = _Starting()
    start.go.set()
    found = await asyncio.gather(*(starts.find_or_start(OWNER, KEY, start) for _ in range(20)))
    (run,) = start.started
    assert {each.run for each in found} == {run}
    assert [each.is_replay for each in found].count(False) == 1
    assert (await starts.find_or_start(OWNER, KEY, start)) == (run, True)


async def test_a_key_belongs_to_its_owner(starts: Starts) -> None:
    start = _Starting()
    start.go.set()
    first = await starts.find_or_start(OWNER, KEY, start)
    other = await starts.find_or_start(Owner("key", "bob"), KEY, start)
    assert first.run is not other.run
    assert not other.is_replay


async def test_a_key_of_another_request_is_a_conflict(starts: Starts) -> None:
    start = _Starting()
    starting = asyncio.create_task(starts.find_or_start(OWNER, KEY, start))
    await _until_known(starts)
    for _ in range(2):  # while the run is being started, and afterwards
        with pytest.raises(Conflict, match="used for another request"):
            await starts.find_or_start(OWNER, Idempotency("k", "other body"), start)
        start.go.set()
        await starting


async def test_a_failed_start_fails_for_all_and_frees_the_key(starts: Starts) -> None:
    failing = _Starting(TooManyRuns("full"))
    callers = [asyncio.create_task(starts.find_or_start(OWNER, KEY, failing)) for _ in range(3)]
    await _until_known(starts)
    failing.go.set()
    refused = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(each) for each in refused] == [TooManyRuns] * 3
    start = _Starting()
    start.go.set()
    assert not (await starts.find_or_start(OWNER, KEY, start)).is_replay


async def test_a_cancelled_starter_is_replaced_by_a_waiting_caller(starts: Starts) -> None:
    start = _Starting()
    callers = [asyncio.create_task(starts.find_or_start(OWNER, KEY, start)) for _ in range(4)]
    await _until_known(starts)
    callers[0].cancel()
    callers[2].cancel()
    await _until_known(starts)
    start.go.set()
    first, second = await asyncio.gather(callers[1], callers[3])
    assert first.run is second.run
    assert len(start.started) == 1


async def test_the_key_of_a_run_that_is_no_longer_kept_starts_another() -> None:
    """In memory the directory says so; elsewhere keys expire with their runs."""
    starts, start = MemoryStarts(), _Starting()
    start.go.set()
    run = (await starts.find_or_start(OWNER, KEY, start)).run
    starts.forget(run.id)
    starts.forget(run.id)
    assert not starts._starts
    assert not (await starts.find_or_start(OWNER, KEY, start)).is_replay


async def test_a_key_is_known_from_its_first_use_until_it_is_free_again() -> None:
    """In memory; another process may know any key."""
    starts = MemoryStarts()
    start, failing = _Starting(), _Starting(TooManyRuns("full"))
    assert not starts.is_known(OWNER, KEY.key)
    starting = asyncio.create_task(starts.find_or_start(OWNER, KEY, start))
    await _until_known(starts)
    assert starts.is_known(OWNER, KEY.key)
    assert not starts.is_known(Owner("key", "bob"), KEY.key)
    start.go.set()
    await starting
    assert starts.is_known(OWNER, KEY.key)
    failing.go.set()
    with pytest.raises(TooManyRuns):
        await starts.find_or_start(OWNER, Idempotency("other", "body"), failing)
    assert not starts.is_known(OWNER, "other")
