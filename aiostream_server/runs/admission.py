"""Admission control: which runs may start now, which wait, and which are refused.

A run holds a slot until it ends. If none is free, its caller waits in a queue that is bounded in length and in time,
and that takes keys in turn. A caller that finds the queue full is refused at once, unless another key has more callers
in it: then the newest of those makes room.
"""

import asyncio
from typing import Final, Protocol

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.fair_queue import FairQueue
from aiostream_server.runs.queued_caller import OnMove, QueuedCaller
from aiostream_server.runs.slots import HeldSlots, obstacle_text


class Admission(Protocol):
    """The slots of every process that shares it. A slot is held by the id of its run."""

    @property
    def queued(self) -> int:
        """How many callers of this process wait."""

    @property
    def is_closed(self) -> bool: ...

    def limit(self, limits: LimitsConfig) -> None:
        """Apply other limits. Runs beyond lower limits go on; callers that may start now do."""

    def refusal(self, owner: Owner, ahead: int = 0) -> ServerError | None:
        """What `enter` would raise at once, if it were called now, or after `ahead` other callers."""

    async def enter(self, owner: Owner, run_id: str, on_move: OnMove | None = None) -> None:
        """Take a slot, waiting for it if need be. Raises `TooManyRuns`, and `ShuttingDown` when closed."""

    def leave(self, run_id: str) -> None:
        """Give the slot back. Returns at once."""

    def close(self) -> None:
        """Admit no more runs in this process, and refuse those that wait."""


class MemoryAdmission:
    """The `Admission` of one process.

    A slot that is given back goes straight to the next in the queue that may have it: no caller waits that could run.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._held: Final = HeldSlots()
        self._queue: Final[FairQueue[QueuedCaller]] = FairQueue()
        self._told = 0  # callers in the queue that want to know their place
        self._will_tell = False
        self._is_closed = False

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def refusal(self, owner: Owner, ahead: int = 0) -> ServerError | None:
        if self._is_closed:
            return ShuttingDown()
        limits = self._limits
        places = limits.max_runs - len(self._held) + limits.queue_size - len(self._queue)
        if 0 < places <= ahead:
            return TooManyRuns(obstacle_text("all", limits))
        if len(self._queue) < limits.queue_size or (obstacle := self._held.obstacle(owner, limits)) is None:
            return None
        return None if self._may_make_room_for(owner) else TooManyRuns(obstacle_text(obstacle, limits))

    async def enter(self, owner: Owner, run_id: str, on_move: OnMove | None = None) -> None:
        if (refusal := self.refusal(owner)) is not None:
            raise refusal
        if (obstacle := self._held.obstacle(owner, self._limits)) is None:
            self._held.take(owner, run_id)
            return
        if len(self._queue) >= self._limits.queue_size:
            self._make_room_for(owner)
        await self._wait(QueuedCaller(run_id, owner, obstacle_text(obstacle, self._limits), on_move))

    def leave(self, run_id: str) -> None:
        self._held.give_back(run_id)
        self._admit_waiting()

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._admit_waiting()

    def close(self) -> None:
        self._is_closed = True
        for caller in self._queue.clear():
            caller.refuse(ShuttingDown())

    async def _wait(self, caller: QueuedCaller) -> None:
        self._queue.add(caller.owner, caller)
        self._told += caller.is_told
        if caller.is_told:
            self._tell_places()
        try:
            await caller.until_admitted(self._limits.queue_timeout_s)
            if self._is_closed:
                raise ShuttingDown
        except BaseException:
            if caller.run_id in self._held:  # it was admitted, and cancelled in the same iteration: pass the slot on
                self.leave(caller.run_id)
            raise
        finally:
            self._queue.discard(caller.owner, caller)
            self._told -= caller.is_told
            self._tell_places_soon()

    def _admit_waiting(self) -> None:
        while len(self._held) < self._limits.max_runs:
            taken = self._queue.take(lambda owner: self._held.own_obstacle(owner, self._limits) is None)
            if taken is None:
                return
            owner, caller = taken
            if not caller.is_decided:  # else it was cancelled, and was still in the queue
                self._held.take(owner, caller.run_id)
                caller.admit()

    def _tell_places_soon(self) -> None:
        """Once for all that leave the queue in this iteration of the event loop."""
        if self._told and not self._will_tell:
            self._will_tell = True
            asyncio.get_running_loop().call_soon(self._tell_places)

    def _tell_places(self) -> None:
        self._will_tell = False
        for place, caller in enumerate(self._queue.in_order(), 1):
            if caller.is_told:
                is_own = self._held.own_obstacle(caller.owner, self._limits) is not None
                caller.tell(None if is_own else place)

    def _may_make_room_for(self, owner: Owner) -> bool:
        """Whether another key has so many callers in the queue that one of them should give way."""
        return len(self._queue) > 0 and self._queue.longest()[1] > self._queue.count(owner.key_id) + 1

    def _make_room_for(self, owner: Owner) -> None:
        while len(self._queue) >= self._limits.queue_size and self._may_make_room_for(owner):
            caller = self._queue.take_newest(self._queue.longest()[0])
            caller.refuse(TooManyRuns(caller.obstacle))
