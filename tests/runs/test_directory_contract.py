"""The contract of `Directory`: runs are found by their owners only, live ones and finished ones for a while.

That of one process, and that of several.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import pytest

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import NotFound, RunGone
from aiostream_server.events import Message
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.directory import Directory, MemoryDirectory
from tests.kit.redis import STORES, RedisServer
from tests.kit.shared_runs import sharing
from tests.kit.waiting import wait_for
from tests.runs.running import new_run

NewDirectory: TypeAlias = Callable[..., Directory]
"""Called with limits."""

ANN, BOB = Owner("key", "ann"), Owner("key", "bob")


@pytest.fixture
def dropped() -> list[str]:
    """The ids of runs that were dropped."""
    return []


@pytest.fixture(params=["memory", *STORES])
async def new_directory(request: pytest.FixtureRequest, dropped: list[str]) -> AsyncIterator[NewDirectory]:
    if request.param == "memory":
        yield lambda **limits: MemoryDirectory(LimitsConfig(**limits), on_drop=dropped.append)
        return
    from aiostream_server.runs.shared.directory import RedisDirectory  # needs Redis' client

    redis: RedisServer = request.getfixturevalue("redis_servers")(request.param)
    async with sharing(redis.url, request.getfixturevalue("redis_prefix")) as shared:

        def make(**limits: Any) -> Directory:
            return RedisDirectory(
                shared.connection, shared.owned, shared.writer, shared.mirrors, LimitsConfig(**limits), dropped.append
            )

        yield make


@pytest.mark.parametrize("is_finished", [False, True])
async def test_a_run_is_found_by_its_owner_only(new_directory: NewDirectory, is_finished: bool) -> None:
    directory, run = new_directory(), new_run("run-1", ANN)
    await directory.put(run)
    if is_finished:
        directory.finish(run)
    assert (await directory.find("run-1", ANN)).id == "run-1"
    assert [each.id for each in await directory.list(ANN, 9)] == ["run-1"]
    for stranger in (BOB, Owner("key"), Owner(), Owner(None, "ann"), Owner("other", "ann")):
        with pytest.raises(NotFound) as error:
            await directory.find("run-1", stranger)
        assert not isinstance(error.value, RunGone)
        assert list(await directory.list(stranger, 9)) == []


async def test_a_finished_run_is_deleted_by_its_owner_as_if_it_had_never_been(new_directory: NewDirectory) -> None:
    directory, run, other = new_directory(), new_run("run-1", ANN), new_run("run-2", ANN)
    for each in (run, other):
        await directory.put(each)
    await directory.delete("run-1", ANN)
    assert (await directory.find("run-1", ANN)).id == "run-1", "it is live"
    for each in (other, run):
        directory.finish(each)
    with pytest.raises(NotFound):
        await directory.delete("run-1", BOB)
    await directory.delete("run-1", ANN)
    with pytest.raises(NotFound) as error:
        await directory.find("run-1", ANN)
    assert not isinstance(error.value, RunGone)
    assert [each.id for each in await directory.list(ANN, 9)] == ["run-2"]


async def test_the_latest_runs_come_first(new_directory: NewDirectory) -> None:
    directory = new_directory()
    runs = [new_run(f"run-{number}", ANN) for number in range(5)]
    for run in runs:
        await directory.put(run)
    for run in (runs[3], runs[1]):
        directory.finish(run)
    assert [each.id for each in await directory.list(ANN, 3)] == ["run-4", "run-3", "run-2"]
    assert [each.id for each in await directory.list(ANN, 99)] == [run.id for run in reversed(runs)]


async def test_the_latest_run_of_a_conversation_is_found_by_its_owner(new_directory: NewDirectory) -> None:
    directory = new_directory()
    runs = [new_run("run-1", ANN, "talk"), new_run("run-2", BOB, "talk"), new_run("run-3", ANN, "other")]
    for run in (*runs, new_run("run-4", ANN)):
        await directory.put(run)
    found = {name: await directory.latest(ANN, name) for name in ("talk", "other", "none")}
    assert {name: run and run.id for name, run in found.items()} == {"talk": "run-1", "other": "run-3", "none": None}
    await directory.put(new_run("run-5", ANN, "talk"))
    directory.finish(runs[0])
    for owner, expected in ((ANN, "run-5"), (BOB, "run-2")):
        latest = await directory.latest(owner, "talk")
        assert latest is not None
        assert latest.id == expected


async def test_a_finished_run_is_the_latest_of_its_conversation_until_it_is_dropped(
    new_directory: NewDirectory,
) -> None:
    directory, earlier, run = new_directory(), new_run("run-1", ANN, "talk"), new_run("run-2", ANN, "talk")
    for each in (earlier, run):
        await directory.put(each)
        directory.finish(each)
    latest = await directory.latest(ANN, "talk")
    assert latest is not None
    assert latest.id == "run-2"
    directory.limit(LimitsConfig(retention_s=0))
    assert await directory.latest(ANN, "talk") is None


async def test_a_dropped_run_has_expired_for_its_owner(new_directory: NewDirectory, dropped: list[str]) -> None:
    directory, run = new_directory(retention_s=0), new_run("run-1", ANN)
    await directory.put(run)
    directory.drop()
    assert (await directory.find("run-1", ANN)).id == "run-1", "a live run is never dropped"
    directory.finish(run)
    with pytest.raises(RunGone, match="kept no longer"):
        await directory.find("run-1", ANN)
    with pytest.raises(NotFound, match="there is no run"):
        await directory.find("run-1", BOB)
    assert dropped == ["run-1"]


@pytest.mark.parametrize("is_finished", [False, True])
async def test_a_run_that_another_process_has_taken_over_does_not_expire_here(
    new_directory: NewDirectory, dropped: list[str], is_finished: bool
) -> None:
    """This process was cut off, and the run has perhaps ended here before it heard of that."""
    directory: Any = new_directory()  # a single process is never asked to
    run, other = new_run("run-1", ANN), new_run("run-2", ANN)
    for each in (run, other):
        await directory.put(each)
    if is_finished:
        directory.finish(run)
    directory.disown("run-1")
    directory.finish(other)
    directory.limit(LimitsConfig(retention_s=0))
    assert dropped == ["run-2"]


async def test_finished_runs_are_dropped_from_the_oldest_when_there_is_no_room(
    new_directory: NewDirectory, dropped: list[str]
) -> None:
    directory = new_directory(retained_bytes=50_000)
    for number in range(10):
        run = new_run(f"run-{number}", ANN)
        run.log.append(Message("A", "x" * 10_000))
        await directory.put(run)
        directory.finish(run)

    async def are_dropped() -> bool:
        kept = [each.id for each in await directory.list(ANN, 99)]
        return 2 <= len(kept) <= 4 and [*dropped, *reversed(kept)] == [f"run-{number}" for number in range(10)]

    await wait_for(are_dropped, "the oldest to be dropped, in Redis too")


async def test_a_lower_limit_drops_finished_runs(new_directory: NewDirectory, dropped: list[str]) -> None:
    directory, run = new_directory(), new_run("run-1", ANN)
    await directory.put(run)
    directory.finish(run)
    directory.limit(LimitsConfig(retention_s=0))
    assert dropped == ["run-1"]
