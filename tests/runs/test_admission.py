"""Never more runs than the limits allow; whoever could run does not wait; who gives up leaves nothing behind."""

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.admission import MemoryAdmission

A, B = Owner("a"), Owner("b")


class SlotsByOwner:
    """An admission whose runs need no names: `leave` gives back any slot of the owner."""

    def __init__(self, limits: LimitsConfig) -> None:
        self.admission = MemoryAdmission(limits)
        self._numbers = itertools.count()
        self._held: defaultdict[Owner, list[str]] = defaultdict(list)

    @property
    def queued(self) -> int:
        return self.admission.queued

    @property
    def taken(self) -> int:
        return len(self.admission._holders)

    async def enter(self, owner: Owner) -> None:
        run_id = f"run-{next(self._numbers)}"
        await self.admission.enter(owner, run_id)
        self._held[owner].append(run_id)

    def leave(self, owner: Owner) -> None:
        self.admission.leave(self._held[owner].pop())

    def close(self) -> None:
        self.admission.close()


def admission(**limits: Any) -> SlotsByOwner:
    return SlotsByOwner(LimitsConfig(**limits))


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_full_queue_refuses_at_once() -> None:
    slots = admission(max_runs=1, queue_size=1)
    await slots.enter(A)
    waiting = asyncio.create_task(slots.enter(A))
    await _turns()
    assert slots.queued == 1
    started = time.monotonic()
    with pytest.raises(TooManyRuns, match="1 runs are going on already"):
        await slots.enter(B)
    assert time.monotonic() - started < 0.05
    slots.leave(A)
    await waiting


async def test_who_waits_too_long_is_refused_in_time() -> None:
    slots = admission(max_runs=9, max_runs_per_key=1, queue_size=1, queue_timeout_s=0.1)
    await slots.enter(A)
    started = time.monotonic()
    with pytest.raises(TooManyRuns, match="1 runs of this key"):
        await slots.enter(A)
    assert 0.1 <= time.monotonic() - started < 0.3
    assert slots.queued == 0
    await slots.enter(B)


async def test_a_key_at_its_limit_does_not_hold_up_the_others() -> None:
    slots = admission(max_runs=2, max_runs_per_key=1, queue_size=9)
    await slots.enter(A)
    await slots.enter(B)
    first, second, other = (asyncio.create_task(slots.enter(owner)) for owner in (A, B, Owner("c")))
    await _turns()
    slots.leave(B)
    await _turns()
    assert (first.done(), second.done(), other.done()) == (False, True, False)
    slots.leave(A)
    await _turns()
    assert first.done()
    other.cancel()


async def test_a_user_at_their_limit_does_not_hold_up_the_other_users_of_the_key() -> None:
    slots = admission(max_runs_per_user=1)
    ann, bob, nobody = Owner("a", "ann"), Owner("a", "bob"), Owner("a")
    for owner in (ann, bob, nobody, nobody, Owner("b", "ann")):
        await slots.enter(owner)
    with pytest.raises(TooManyRuns, match="1 of your runs are going on already"):
        await slots.enter(ann)
    slots.leave(ann)
    await slots.enter(ann)


async def test_a_slot_is_not_given_to_who_was_cancelled_in_the_same_moment() -> None:
    """It has not had the time to leave the queue."""
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    gone, waits = (asyncio.create_task(slots.enter(A)) for _ in range(2))
    await _turns()
    gone.cancel()
    slots.leave(A)
    await asyncio.wait_for(waits, 1)
    assert gone.cancelled()


async def test_who_is_cancelled_with_the_slot_in_hand_gives_it_on() -> None:
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    gone, waits = (asyncio.create_task(slots.enter(A)) for _ in range(2))
    await _turns()
    slots.leave(A)
    gone.cancel()
    await asyncio.wait_for(waits, 1)
    assert gone.cancelled()


async def test_a_slot_that_comes_in_the_last_moment_is_in_time() -> None:
    slots = admission(max_runs=1, queue_size=1, queue_timeout_s=0.05)
    await slots.enter(A)
    asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + 0.05, slots.leave, A)
    waiting = asyncio.create_task(slots.enter(A))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - both timers are due when the loop goes on
    await asyncio.wait_for(waiting, 1)
    assert slots.taken == 1


async def test_who_waits_is_sent_away_when_the_server_closes() -> None:
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    waiting, gone, admitted = (asyncio.create_task(slots.enter(A)) for _ in range(3))
    await _turns()
    gone.cancel()
    slots.close()
    with pytest.raises(ShuttingDown):
        await waiting
    with pytest.raises(ShuttingDown):
        await admitted
    with pytest.raises(ShuttingDown):
        await slots.enter(A)
    assert slots.admission.is_closed
    assert slots.queued == 0


async def test_a_slot_that_was_given_in_the_moment_of_closing_is_given_back() -> None:
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    waiting = asyncio.create_task(slots.enter(A))
    await _turns()
    slots.leave(A)
    slots.close()
    with pytest.raises(ShuttingDown):
        await waiting
    assert slots.taken == 0


async def test_a_thousand_may_wait() -> None:
    slots = admission(max_runs=2, max_runs_per_key=1, queue_size=1_000)
    await slots.enter(A)
    await slots.enter(B)
    waiting = [asyncio.create_task(slots.enter(A if number % 10 else B)) for number in range(1_000)]
    await _turns()
    started = time.monotonic()
    for _ in range(100):
        slots.leave(B)
        await _turns(2)
    assert time.monotonic() - started < 1
    assert sum(task.done() for task in waiting) == 100
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert slots.queued == 0


_OWNERS = st.sampled_from([A, B, Owner(), Owner("a", "ann"), Owner("a", "bob"), Owner("b", "ann")])


class Slots(RuleBasedStateMachine):
    """Callers of several keys come, leave, and lose patience, also several in one turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.callers: list[tuple[Owner, asyncio.Task[None]]] = []
        self.inside: list[Owner] = []

    @initialize(
        max_runs=st.integers(1, 4), per_key=st.integers(0, 2), per_user=st.integers(0, 2), queue_size=st.integers(0, 4)
    )
    def begin(self, max_runs: int, per_key: int, per_user: int, queue_size: int) -> None:
        self.limits = LimitsConfig(
            max_runs=max_runs, max_runs_per_key=per_key, max_runs_per_user=per_user, queue_size=queue_size
        )
        self.slots = SlotsByOwner(self.limits)

    @rule(owner=_OWNERS, settles=st.booleans())
    def enter(self, owner: Owner, settles: bool) -> None:
        self.callers.append((owner, self.loop.create_task(self.slots.enter(owner))))
        self._run(settles)

    @rule(number=st.integers(0, 9), settles=st.booleans())
    def leave(self, number: int, settles: bool) -> None:
        if self.inside:
            self.slots.leave(self.inside.pop(number % len(self.inside)))
            self._run(settles)

    @rule(number=st.integers(0, 9), settles=st.booleans())
    def cancel(self, number: int, settles: bool) -> None:
        if self.callers:
            self.callers[number % len(self.callers)][1].cancel()
            self._run(settles)

    def _run(self, settles: bool) -> None:
        self.loop.run_until_complete(_turns(6 if settles else 1))
        for caller in tuple(self.callers):
            owner, task = caller
            if not task.done():
                continue
            self.callers.remove(caller)
            if not task.cancelled() and task.exception() is None:
                self.inside.append(owner)

    @invariant()
    def never_more_than_the_limits(self) -> None:
        if not hasattr(self, "slots"):
            return
        per_key = self.limits.max_runs_per_key
        assert len(self.inside) <= self.slots.taken <= self.limits.max_runs
        assert self.slots.queued <= self.limits.queue_size
        assert not per_key or max(Counter(owner.key_id for owner in self.inside).values(), default=0) <= per_key
        per_user, users = self.limits.max_runs_per_user, Counter(owner for owner in self.inside if owner.user_id)
        assert not per_user or max(users.values(), default=0) <= per_user

    @invariant()
    def nobody_waits_who_could_run(self) -> None:
        if not hasattr(self, "slots"):
            return
        self._run(settles=True)
        assert self.slots.taken == len(self.inside), "no slot is lost"
        assert self.slots.admission._taken_by_user == Counter(self.inside)
        assert self.slots.admission._taken_by_key == Counter(owner.key_id for owner in self.inside)
        assert not any(self.slots.admission._is_free(owner) for owner, _ in self.callers)
        assert self.slots.queued == len(self.callers)

    def teardown(self) -> None:
        for _, task in self.callers:
            task.cancel()
        self.loop.run_until_complete(_turns())
        self.loop.close()


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
