"""The contract of `Turns`: one live run per conversation, and what each policy does with a second one.

That of one process, and that of several.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import pytest

from aiostream_server.config.model import ConcurrentTurns
from aiostream_server.errors import Conflict
from aiostream_server.events import FinishReason
from aiostream_server.intake.principal import Owner
from aiostream_server.log.protocol import Reader
from aiostream_server.runs.card import RunCard
from aiostream_server.runs.request import TurnKey
from aiostream_server.runs.turns import MemoryTurns, Turns
from tests.kit.redis import STORES, RedisServer
from tests.kit.shared_runs import sharing

NewTurns: TypeAlias = Callable[[ConcurrentTurns], Turns]

_NUMBERS: Final = itertools.count()
KEY: Final = TurnKey(Owner("key", "ann"), "talk", "")
OTHER: Final = TurnKey(Owner("key", "bob"), "talk", "")


@dataclass(eq=False)
class _View:
    """A `RunView` that only stops. It ends when it is stopped."""

    id: str = field(default_factory=lambda: f"run-{next(_NUMBERS)}")
    owner: Owner = KEY.owner
    stopped: list[FinishReason] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def card(self) -> RunCard:
        raise NotImplementedError

    def watch(self, after: int = 0) -> AbstractContextManager[Reader]:
        raise NotImplementedError

    async def stop(self, reason: FinishReason) -> None:
        self.stopped.append(reason)
        self._ended.set()

    async def wait(self) -> None:
        await self._ended.wait()


@pytest.fixture(params=["memory", *STORES])
async def new_turns(request: pytest.FixtureRequest) -> AsyncIterator[NewTurns]:
    if request.param == "memory":
        yield MemoryTurns
        return
    redis: RedisServer = request.getfixturevalue("redis_servers")(request.param)
    async with sharing(redis.url, request.getfixturevalue("redis_prefix")) as shared:

        def make(policy: ConcurrentTurns) -> Turns:
            shared.turns.set_policy(policy)
            return shared.turns

        yield make


async def test_queued_runs_wait_for_all_earlier_ones(new_turns: NewTurns) -> None:
    turns, runs = new_turns("queue"), [_View(str(number)) for number in range(3)]
    for number, run in enumerate(runs):
        await turns.prepare(KEY)
        assert list(await turns.enter(KEY, run)) == runs[:number]
    turns.leave(KEY, runs[0])
    assert list(await turns.enter(KEY, _View())) == runs[1:]


async def test_at_most_three_runs_are_queued(new_turns: NewTurns) -> None:
    turns = new_turns("queue")
    for _ in range(4):
        await turns.enter(KEY, _View())
    with pytest.raises(Conflict, match="3 questions"):
        await turns.prepare(KEY)
    with pytest.raises(Conflict, match="3 questions"):
        await turns.enter(KEY, _View())
    await turns.prepare(OTHER)


async def test_a_second_run_is_rejected(new_turns: NewTurns) -> None:
    turns, first = new_turns("reject"), _View()
    await turns.prepare(KEY)
    await turns.enter(KEY, first)
    with pytest.raises(Conflict, match="still being answered"):
        await turns.prepare(KEY)
    assert list(await turns.enter(OTHER, _View())) == []
    turns.leave(KEY, first)
    await turns.prepare(KEY)


async def test_of_two_that_enter_at_once_one_is_rejected(new_turns: NewTurns) -> None:
    """Both have passed `prepare`: they waited for their slots."""
    turns = new_turns("reject")
    both = await asyncio.gather(*(turns.enter(KEY, _View()) for _ in range(2)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in both if isinstance(each, Exception)) == ["Conflict"]


async def test_a_second_run_interrupts_the_first_before_it_takes_a_slot(new_turns: NewTurns) -> None:
    turns, first = new_turns("interrupt"), _View()
    await turns.enter(KEY, first)
    await turns.prepare(KEY)
    assert first.stopped == ["cancelled"]


async def test_runs_that_entered_meanwhile_are_interrupted_as_well(new_turns: NewTurns) -> None:
    turns, first, second = new_turns("interrupt"), _View(), _View()
    await turns.prepare(KEY)
    await turns.enter(KEY, first)
    assert list(await turns.enter(KEY, second)) == [first]
    assert (first.stopped, second.stopped) == (["cancelled"], [])


async def test_a_new_policy_applies_to_later_runs(new_turns: NewTurns) -> None:
    turns = new_turns("reject")
    await turns.enter(KEY, _View())
    turns.set_policy("queue")
    await turns.prepare(KEY)


@pytest.mark.parametrize("policy", ["queue", "reject", "interrupt"])
async def test_a_question_may_free_a_slot_where_it_interrupts_a_run_of_its_owner(
    new_turns: NewTurns, policy: ConcurrentTurns
) -> None:
    """What other processes do is not known: then it may."""
    turns, run = new_turns(policy), _View()
    is_certain = isinstance(turns, MemoryTurns) or policy != "interrupt"
    assert not (is_certain and turns.may_free_a_slot(KEY.owner))
    await turns.enter(KEY, run)
    assert turns.may_free_a_slot(KEY.owner) is (policy == "interrupt")
    assert not (is_certain and turns.may_free_a_slot(OTHER.owner))
    turns.leave(KEY, run)
    assert not (is_certain and turns.may_free_a_slot(KEY.owner))
