"""The admission in memory stays consistent after any order of calls (`test_admission_contract` has the rest)."""

import asyncio
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiostream_server.config.model import LimitsConfig
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.admission import MemoryAdmission
from tests.runs.test_admission_contract import A, B, SlotsByOwner

_OWNERS = st.sampled_from([A, B, Owner(), Owner("a", "ann"), Owner("a", "bob"), Owner("b", "ann")])


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Slots(RuleBasedStateMachine):
    """Callers of several keys enter, leave and are cancelled, also several in one iteration of the loop."""

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
        self.admission = MemoryAdmission(self.limits)
        self.slots = SlotsByOwner(self.admission, None)

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
        assert len(self.inside) <= len(self.admission._held) <= self.limits.max_runs
        assert self.slots.queued <= self.limits.queue_size
        assert not per_key or max(Counter(owner.key_id for owner in self.inside).values(), default=0) <= per_key
        per_user, users = self.limits.max_runs_per_user, Counter(owner for owner in self.inside if owner.user_id)
        assert not per_user or max(users.values(), default=0) <= per_user

    @invariant()
    def every_waiting_caller_is_at_a_limit(self) -> None:
        if not hasattr(self, "slots"):
            return
        self._run(settles=True)
        assert len(self.admission._held) == len(self.inside), "no slot is lost"
        assert self.admission._held._taken == Counter(each for owner in self.inside for each in (owner.key_id, owner))
        assert all(self.admission._held.obstacle(owner, self.limits) for owner, _ in self.callers)
        assert self.slots.queued == len(self.callers)

    def teardown(self) -> None:
        for _, task in self.callers:
            task.cancel()
        self.loop.run_until_complete(_turns(5))
        self.loop.close()


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
