"""The contract of `RunView`: a run as the rest of the server sees it, wherever it is driven.

A local run, and one that another process drives.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from msgspec.json import decode, encode

from aiostream_server.events import Entry, Message, RunFinished, RunStarted
from aiostream_server.intake.principal import LOCAL_OWNER
from aiostream_server.runs.card import RunCard, RunView
from tests.kit.redis import STORES
from tests.kit.shared_runs import sharing
from tests.kit.waiting import DEADLINE_S, wait_for
from tests.runs.running import Runs, runs_of
from tests.runs.test_run import Saying, Stuck

NewView: TypeAlias = Callable[..., Awaitable[RunView]]
"""Called with a function that makes the team, and with fields of the request."""


@pytest.fixture(params=["local", *STORES])
async def view_of(request: pytest.FixtureRequest) -> AsyncIterator[NewView]:
    if request.param == "local":
        yield lambda make, **limits: runs_of(make, **limits).start()
        return
    redis, prefix = request.getfixturevalue("redis_servers")(request.param), request.getfixturevalue("redis_prefix")
    async with sharing(redis.url, prefix) as here, sharing(redis.url, prefix) as elsewhere:
        runs: Runs | None = None

        async def start(make: Callable[[], object], **limits: Any) -> RunView:
            nonlocal runs
            runs = runs_of(make, backend=here.backend, **limits)
            run = await runs.start()
            await here.owned.written(run.id, DEADLINE_S)
            return await elsewhere.directory.find(run.id, run.owner)

        yield start
        if runs is not None:
            await runs.registry.close()


async def test_a_watched_run_is_read_to_its_end(view_of: NewView) -> None:
    view = await view_of(lambda: Saying("x"))
    entries: list[Entry] = []
    with view.watch() as reader:
        while not reader.at_end:
            entries += await reader.read()
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert isinstance(entries[0].event, RunStarted)
    assert isinstance(entries[-1].event, RunFinished)
    with view.watch(len(entries) - 1) as late:
        assert list(await late.read()) == entries[-1:]


async def test_the_card_follows_the_run(view_of: NewView) -> None:
    view = await view_of(Stuck)
    card = view.card()
    assert (card.id, card.finished, card.error) == (view.id, None, None)
    assert view.owner == LOCAL_OWNER
    await view.stop("cancelled")
    await asyncio.wait_for(view.wait(), DEADLINE_S)
    card = view.card()
    assert card.finished is not None
    assert (card.finished.reason, card.team) == ("cancelled", "team")
    with view.watch() as reader:
        assert card.last_seq == (await reader.read())[-1].seq
    assert decode(encode(card), type=RunCard) == card


async def test_a_stopped_run_ends_with_the_reason(view_of: NewView) -> None:
    view = await view_of(Stuck)
    await view.stop("cancelled")
    await view.stop("interrupted")  # too late
    await asyncio.wait_for(view.wait(), DEADLINE_S)
    finished = view.card().finished
    assert finished is not None
    assert finished.reason == "cancelled"
    await view.stop("cancelled")  # it has ended already


async def test_a_run_is_cancelled_when_its_last_viewer_leaves(view_of: NewView) -> None:
    view = await view_of(Stuck)
    with view.watch() as reader:
        with view.watch():
            await reader.read()
        assert view.card().finished is None
    finished = await wait_for(lambda: view.card().finished, "the run to end")
    assert finished.reason == "cancelled"


async def test_cancelling_a_wait_does_not_touch_the_run(view_of: NewView) -> None:
    view = await view_of(lambda: Saying("x"))
    waiting = asyncio.create_task(view.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(view.wait(), DEADLINE_S)
    with view.watch() as reader:
        entries = await reader.read()
    assert any(isinstance(entry.event, Message) for entry in entries)
