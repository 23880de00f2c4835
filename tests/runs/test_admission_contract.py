"""The contract of `Admission`: the limits hold, no caller waits that could run, cancelled ones leave no trace.

That of one process, and that of several: Redis answers later than memory, so tests `settle` where they look.
"""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.admission import Admission, MemoryAdmission
from tests.kit.redis import STORES, RedisServer
from tests.kit.shared_runs import settled, sharing
from tests.kit.waiting import DEADLINE_S

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

A, B = Owner("a"), Owner("b")
PATIENT: Final = {"queue_timeout_s": 3_600.0}
"""Callers wait as long as a busy machine makes them, where the test says nothing else."""


class SlotsByOwner:
    """An admission with slots counted by owner: `leave` gives back any slot of the owner."""

    def __init__(self, admission: Admission, shared: "SharedRuns | None") -> None:
        self.admission: Final = admission
        self.knows_all: Final = shared is None
        self._shared: Final = shared
        self._numbers = itertools.count()
        self._held: defaultdict[Owner, list[str]] = defaultdict(list)

    @property
    def queued(self) -> int:
        return self.admission.queued

    async def enter(self, owner: Owner) -> None:
        run_id = f"run-{next(self._numbers)}"
        await self.admission.enter(owner, run_id)
        self._held[owner].append(run_id)

    async def begin(self, owner: Owner) -> asyncio.Task[None]:
        """Enter, as far as that goes without waiting."""
        entering = asyncio.create_task(self.enter(owner))
        await self.settle()
        return entering

    def leave(self, owner: Owner) -> None:
        self.admission.leave(self._held[owner].pop())

    def close(self) -> None:
        self.admission.close()

    async def settle(self) -> None:
        """Wait until what was begun has had its effect."""
        for _ in range(5):
            await asyncio.sleep(0)
        if self._shared is not None:
            await settled(self._shared)


NewAdmission: TypeAlias = Callable[..., SlotsByOwner]
"""Called with limits."""


@pytest.fixture(params=["memory", *STORES])
async def admission(request: pytest.FixtureRequest) -> AsyncIterator[NewAdmission]:
    if request.param == "memory":
        yield lambda **limits: SlotsByOwner(MemoryAdmission(LimitsConfig(**PATIENT | limits)), None)
        return
    redis: RedisServer = request.getfixturevalue("redis_servers")(request.param)
    async with sharing(redis.url, request.getfixturevalue("redis_prefix")) as shared:

        def make(**limits: Any) -> SlotsByOwner:
            shared.admission.limit(LimitsConfig(**PATIENT | limits))
            return SlotsByOwner(shared.admission, shared)

        yield make


async def _is_free(slots: SlotsByOwner) -> bool:
    """Whether a caller is admitted at once."""
    entering = asyncio.create_task(slots.enter(A))
    await slots.settle()
    if not entering.done():
        entering.cancel()
        await asyncio.wait([entering])
        return False
    slots.leave(A)
    return True


async def test_lower_limits_apply_to_later_runs(admission: NewAdmission) -> None:
    slots = admission(max_runs=2, queue_size=1)
    await slots.enter(A)
    slots.admission.limit(LimitsConfig(max_runs=1, queue_size=1))
    assert not await _is_free(slots)
    slots.admission.limit(LimitsConfig(max_runs=2, queue_size=1))
    assert await _is_free(slots)


async def test_a_full_queue_refuses_at_once(admission: NewAdmission) -> None:
    slots = admission(max_runs=1, queue_size=1, queue_timeout_s=3_600)
    await slots.enter(A)
    waiting = asyncio.create_task(slots.enter(A))
    await slots.settle()
    assert slots.queued == 1
    with pytest.raises(TooManyRuns, match="one run is still going on"):
        await asyncio.wait_for(slots.enter(B), DEADLINE_S)
    slots.leave(A)
    await waiting


async def test_a_caller_that_waits_too_long_is_refused(admission: NewAdmission) -> None:
    slots = admission(max_runs=9, max_runs_per_key=1, queue_size=1, queue_timeout_s=0.1)
    await slots.enter(A)
    started = time.monotonic()
    with pytest.raises(TooManyRuns, match="one run of this key"):
        await slots.enter(A)
    assert time.monotonic() - started >= 0.1
    assert slots.queued == 0
    await slots.enter(B)


async def test_a_key_at_its_limit_does_not_hold_up_the_others(admission: NewAdmission) -> None:
    slots = admission(max_runs=2, max_runs_per_key=1, queue_size=9)
    await slots.enter(A)
    await slots.enter(B)
    first, second, other = [await slots.begin(owner) for owner in (A, B, Owner("c"))]
    slots.leave(B)
    await slots.settle()
    assert (first.done(), second.done(), other.done()) == (False, True, False)
    slots.leave(A)
    await slots.settle()
    assert first.done()
    other.cancel()


async def test_a_user_at_their_limit_does_not_hold_up_the_other_users_of_the_key(admission: NewAdmission) -> None:
    slots = admission(max_runs_per_user=1)
    ann, bob, keyless = Owner("a", "ann"), Owner("a", "bob"), Owner("a")
    for owner in (ann, bob, keyless, keyless, Owner("b", "ann")):
        await slots.enter(owner)
    with pytest.raises(TooManyRuns, match="one of your runs is still going on; stop it, or wait for its end"):
        await slots.enter(ann)
    slots.leave(ann)
    await slots.enter(ann)


async def test_a_slot_is_not_given_to_a_caller_cancelled_in_the_same_iteration(admission: NewAdmission) -> None:
    """It is still in the queue."""
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    gone, waits = (asyncio.create_task(slots.enter(A)) for _ in range(2))
    await slots.settle()
    gone.cancel()
    slots.leave(A)
    await asyncio.wait_for(waits, DEADLINE_S)
    assert gone.cancelled()


async def test_a_caller_cancelled_with_its_slot_passes_it_on(admission: NewAdmission) -> None:
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    gone, waits = (asyncio.create_task(slots.enter(A)) for _ in range(2))
    await slots.settle()
    slots.leave(A)
    gone.cancel()
    await asyncio.wait_for(waits, DEADLINE_S)
    assert gone.cancelled()


async def test_a_slot_that_comes_with_the_timeout_is_in_time(admission: NewAdmission) -> None:
    if not (slots := admission()).knows_all:
        pytest.skip("a message from Redis takes longer")
    slots = admission(max_runs=1, queue_size=1, queue_timeout_s=0.05)
    await slots.enter(A)
    asyncio.get_running_loop().call_at(asyncio.get_running_loop().time() + 0.05, slots.leave, A)
    waiting = asyncio.create_task(slots.enter(A))
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - both timers are due when the loop goes on
    await asyncio.wait_for(waiting, DEADLINE_S)
    assert not await _is_free(slots)


async def test_waiting_callers_are_refused_when_the_server_closes(admission: NewAdmission) -> None:
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    waiting, gone, admitted = (asyncio.create_task(slots.enter(A)) for _ in range(3))
    await slots.settle()
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


async def test_a_slot_given_in_the_iteration_of_closing_is_given_back(admission: NewAdmission) -> None:
    slots = admission(max_runs=1, queue_size=9)
    await slots.enter(A)
    waiting = asyncio.create_task(slots.enter(A))
    await slots.settle()
    slots.leave(A)
    slots.close()
    with pytest.raises(ShuttingDown):
        await waiting


async def test_a_thousand_may_wait(admission: NewAdmission) -> None:
    slots = admission(max_runs=2, max_runs_per_key=1, queue_size=1_000)
    await slots.enter(A)
    await slots.enter(B)
    waiting = [asyncio.create_task(slots.enter(A if number % 10 else B)) for number in range(1_000)]
    await slots.settle()
    for _ in range(100):
        slots.leave(B)
        await slots.settle()
    assert sum(task.done() for task in waiting) == 100
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert slots.queued == 0


async def test_waiting_keys_get_slots_in_turn(admission: NewAdmission) -> None:
    """A key with many waiting callers has one before the other key's first."""
    slots = admission(max_runs=1, queue_size=100)
    await slots.enter(A)
    order: list[Owner] = []

    async def ask(owner: Owner) -> None:
        await slots.enter(owner)
        order.append(owner)

    waiting = []
    for owner in (*[A] * 20, B, B):
        waiting.append(asyncio.create_task(ask(owner)))
        await slots.settle()
    for _ in range(5):
        slots.leave(order[-1] if order else A)
        await slots.settle()
    assert order == [A, B, A, B, A]
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_a_full_queue_of_one_key_makes_room_for_another(admission: NewAdmission) -> None:
    """For as many as the key has itself; the newest of the other give way, and are told why."""
    slots = admission(max_runs=1, queue_size=4)
    await slots.enter(A)
    waiting = []
    for owner in (A, A, A, A, B, B):
        waiting.append(asyncio.create_task(slots.enter(owner)))
        await slots.settle()
    assert [task.done() for task in waiting] == [False, False, True, True, False, False]
    assert slots.queued == 4
    for refused in waiting[2:4]:
        with pytest.raises(TooManyRuns, match="one run is still going on"):
            refused.result()
    for owner in (A, B):
        assert not slots.knows_all or isinstance(slots.admission.refusal(owner), TooManyRuns)
        with pytest.raises(TooManyRuns):
            await slots.enter(owner)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_what_is_refused_is_known_before(admission: NewAdmission) -> None:
    """With the places that callers take who come before."""
    if not admission().knows_all:
        pytest.skip("only Redis knows it: `enter` refuses")
    slots = admission(max_runs=2, max_runs_per_key=1, queue_size=1)
    assert slots.admission.refusal(A) is None
    assert slots.admission.refusal(A, 2) is None
    assert isinstance(slots.admission.refusal(A, 3), TooManyRuns)
    await slots.enter(A)
    assert slots.admission.refusal(A) is None, "it may wait"
    waiting = asyncio.create_task(slots.enter(A))
    await slots.settle()
    assert isinstance(slots.admission.refusal(A), TooManyRuns)
    assert slots.admission.refusal(B) is None
    slots.close()
    assert isinstance(slots.admission.refusal(B), ShuttingDown)
    await asyncio.wait([waiting])
    assert isinstance(waiting.exception(), ShuttingDown)
