"""The registry with its parts in memory: runs are kept for a while, one key starts one run, closing ends all."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from msgspec import structs

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import Conflict, NotFound, RunGone, ShuttingDown, TooManyRuns
from aiostream_server.events import RunFinished, Waiting
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.card import RunView
from aiostream_server.runs.directory import MemoryDirectory
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.run import Run
from aiostream_server.runs.starts import Idempotency, MemoryStarts
from aiostream_server.service.composition import memory_backend
from tests.kit.waiting import DEADLINE_S, wait_for
from tests.runs.running import Runs, events_of, runs_of
from tests.runs.test_run import Saying, Stuck

KEY = Idempotency("k", "body")


async def _done(*runs: RunView) -> None:
    for run in runs:
        await asyncio.wait_for(run.wait(), DEADLINE_S)
    await asyncio.sleep(0)


def _starts(runs: Runs) -> MemoryStarts:
    starts = runs.registry._starts
    assert isinstance(starts, MemoryStarts)
    return starts


def _owned(runs: Runs, owner: Owner) -> RunRequest:
    asked = runs.request()
    return RunRequest(asked.question, asked.model, asked.spec, owner=owner)


async def test_runs_are_kept_for_a_while_and_then_dropped_from_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("aiostream_server.runs.directory.time", SimpleNamespace(monotonic=lambda: now))
    runs = runs_of(lambda: Saying("x"), retention_s=2)
    first = await runs.start()
    await _done(first)
    now = 1.5
    second = await runs.start()
    await _done(second)
    assert list(await runs.registry.list(Owner(), 99_999)) == [second, first]
    now = 3.0
    assert list(await runs.registry.list(Owner(), 99_999)) == [second]


async def test_dropped_runs_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiostream_server.runs.directory._REMEMBERED", 2)
    runs = runs_of(lambda: Saying("x"), retention_s=0)
    gone = [await runs.start() for _ in range(3)]
    await _done(*gone)
    with pytest.raises(NotFound):
        await runs.registry.find(gone[0].id, Owner())
    with pytest.raises(RunGone):
        await runs.registry.find(gone[1].id, Owner())


async def test_a_finished_run_forgets_its_question() -> None:
    """A question may hold megabytes of pictures."""
    runs = runs_of(lambda: Saying("x"))
    run = await runs.start("a long question")
    assert run.request.question.task.text == "a long question"
    await _done(run)
    assert "long" not in repr(run.request)
    assert run.request.model == "auto"


async def test_one_key_starts_one_run() -> None:
    runs = runs_of(lambda: Saying("x"))
    found = await asyncio.gather(*(runs.start_with_key(KEY) for _ in range(20)))
    assert len(set(found)) == 1
    await _done(found[0])
    assert await runs.start_with_key(KEY) is found[0]
    with pytest.raises(Conflict):
        await runs.start_with_key(Idempotency("k", "other body"))
    other = await runs.start_with_key(Idempotency("k", "other body"), _owned(runs, Owner("k", "ann")))
    assert other is not found[0]
    await _done(other)


async def test_a_start_that_failed_frees_the_key_and_fails_for_all() -> None:
    runs = runs_of(Stuck, max_runs=1, queue_size=1, queue_timeout_s=0.05)
    run = await runs.start()
    starts = (runs.start_with_key(KEY) for _ in range(3))
    refused: Sequence[object] = await asyncio.gather(*starts, return_exceptions=True)
    assert [type(error) for error in refused] == [TooManyRuns] * 3
    assert not _starts(runs)._starts
    run.end("cancelled")
    await _done(run)
    assert await runs.start_with_key(KEY)
    await runs.registry.close()


async def test_a_cancelled_starter_in_the_queue_is_replaced_by_a_waiting_caller() -> None:
    runs = runs_of(Stuck, max_runs=1, queue_size=5)
    run = await runs.start()
    starts = [asyncio.create_task(runs.start_with_key(KEY)) for _ in range(4)]
    await wait_for(lambda: runs.registry.queued == 1, "a caller in the queue")
    starts[0].cancel()
    starts[2].cancel()
    await asyncio.wait([starts[0], starts[2]])
    await wait_for(lambda: runs.registry.queued == 1, "another caller in the queue")
    run.end("cancelled")
    first, second = await asyncio.wait_for(asyncio.gather(starts[1], starts[3]), DEADLINE_S)
    assert first is second
    await runs.registry.close()


async def test_keys_are_forgotten_with_their_runs() -> None:
    runs = runs_of(lambda: Saying("x"), retained_bytes=200_000, max_runs=10_000)
    for number in range(2_000):
        run = await runs.start_with_key(Idempotency(str(number), "f"))
        if number % 50 == 49:
            await _done(run)
    await runs.registry.drain()
    kept = len(list(await runs.registry.list(Owner(), 99_999)))
    assert kept == len(_starts(runs)._starts) == len(_starts(runs)._key_of)
    assert kept < 100


async def test_queued_callers_are_refused_as_soon_as_the_server_closes() -> None:
    runs = runs_of(Stuck, max_runs=1, queue_size=5)
    run = await runs.start()
    waiting = asyncio.create_task(runs.start())
    await wait_for(lambda: runs.registry.queued == 1, "a caller in the queue")
    draining = asyncio.create_task(runs.registry.drain())
    with pytest.raises(ShuttingDown):
        await asyncio.wait_for(waiting, DEADLINE_S)
    assert not draining.done()
    assert runs.registry.is_closing
    run.end("cancelled")
    await asyncio.wait_for(draining, DEADLINE_S)
    assert len(runs.registry) == 0


class SlowDirectory(MemoryDirectory):
    """Takes a run only once it is `open`, as a Redis that does not answer at once."""

    def __init__(self) -> None:
        super().__init__(LimitsConfig(), on_drop=lambda _: None)
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def put(self, run: Run) -> None:
        self.asked.set()
        await self.open.wait()
        await super().put(run)


async def test_a_run_that_is_just_beginning_when_the_server_ends_is_ended_too() -> None:
    """Else its stream would be cut off in the middle."""
    directory = SlowDirectory()
    backend = replace(memory_backend(LimitsConfig(), "queue"), directory=directory)
    runs = runs_of(Stuck, backend=backend)
    starting = asyncio.create_task(runs.start())
    await directory.asked.wait()
    await asyncio.wait_for(runs.registry.close(), DEADLINE_S)
    directory.open.set()
    run = await starting
    await _done(run)
    assert events_of(run)[-1] == run.finished
    assert run.finished.reason == "interrupted"


async def test_a_run_that_cannot_be_made_takes_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_of(Stuck, max_runs=1)
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await runs.start()


async def test_viewers_are_counted() -> None:
    runs = runs_of(Stuck)
    run = await runs.start()
    with run.watch(), run.watch():
        assert runs.registry.viewers == 2
    await _done(run)
    assert runs.registry.viewers == 0
    finished = events_of(run)[-1]
    assert isinstance(finished, RunFinished)
    assert finished.reason == "cancelled"


async def test_a_run_that_cannot_be_put_into_the_directory_gives_back_its_slot_and_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A directory that several processes share may be out of reach."""
    runs = runs_of(lambda: Saying("x"), max_runs=1, concurrent_turns="reject")
    talk = Conversation("talk", resends=True)
    request = structs.replace(runs.request(), conversation=talk)

    async def unreachable(_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(runs.registry._directory, "put", unreachable)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await runs.registry.start(request)
    assert len(runs.registry) == 0
    await _done(await runs.registry.start(request))


async def test_a_run_that_starts_in_the_queue_ends_with_the_server() -> None:
    """It holds no slot, and takes none that another could have."""
    runs = runs_of(Stuck, max_runs=1, queue_size=2, queue_timeout_s=60)
    first = await runs.start()
    queued, stopped = [
        await runs.registry.start(structs.replace(runs.request(), tells_waiting=True), runs.resources) for _ in range(2)
    ]
    stopped.end("cancelled")
    await asyncio.wait_for(stopped.wait(), DEADLINE_S)
    assert runs.registry.queued == 1
    await runs.registry.close()
    assert [run.finished and run.finished.reason for run in (first, stopped, queued)] == [
        "interrupted",
        "cancelled",
        "interrupted",
    ]
    assert [event.content for event in events_of(queued) if isinstance(event, Waiting)] == ["1st in the queue"]
