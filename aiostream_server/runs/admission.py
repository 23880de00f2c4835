"""Admission control: which runs may start now, which wait, and which are refused.

A run holds a slot until it ends. If none is free, its caller waits in a queue that is bounded in length and in time,
and that takes keys in turn. A caller that finds the queue full is refused at once, unless another key has more callers
in it: then the newest of those makes room.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.fair_queue import FairQueue

OnMove: TypeAlias = Callable[[int | None], object]
"""Called as soon as a caller waits, and when fewer others are before it: with its place in the queue, from 1. None: it
waits for a limit of its own key or user, or the place is not known."""


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


@dataclass(slots=True, eq=False)
class QueuedCaller:
    """`admitted` raises if the caller is refused in the queue. `place` is the one that it was told; 0: none yet."""

    run_id: str
    owner: Owner
    obstacle: str
    admitted: asyncio.Future[None]
    on_move: OnMove | None = None
    place: int | None = 0

    def tell(self, place: int | None) -> None:
        """Tell of a better place, never of a worse one: keys that come later may be before it."""
        is_worse = self.place is not None and place is not None and place >= self.place > 0
        if self.on_move is not None and place != self.place and not is_worse:
            self.place = place
            self.on_move(place)


class MemoryAdmission:
    """The `Admission` of one process.

    A slot that is given back goes straight to the next in the queue that may have it: no caller waits that could run.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._holders: dict[str, Owner] = {}  # by run id
        self._taken: Counter[str | Owner | None] = Counter()  # by key id, and by owner
        self._queue: FairQueue[QueuedCaller] = FairQueue()
        self._watched: dict[QueuedCaller, Owner] = {}  # those with an `on_move`
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
        places = limits.max_runs - len(self._holders) + limits.queue_size - len(self._queue)
        if 0 < places <= ahead:
            return TooManyRuns(obstacle_text("all", limits))
        if len(self._queue) < self._limits.queue_size or (obstacle := self._obstacle(owner)) is None:
            return None
        return None if self._may_make_room_for(owner) else TooManyRuns(obstacle)

    async def enter(self, owner: Owner, run_id: str, on_move: OnMove | None = None) -> None:
        if (refusal := self.refusal(owner)) is not None:
            raise refusal
        if (obstacle := self._obstacle(owner)) is None:
            self._take(owner, run_id)
            return
        if len(self._queue) >= self._limits.queue_size:
            self._make_room_for(owner)
        await self._wait(owner, run_id, obstacle, on_move)

    def leave(self, run_id: str) -> None:
        owner = self._holders.pop(run_id)
        for each in (owner.key_id, owner):
            self._taken[each] -= 1
            if not self._taken[each]:
                del self._taken[each]
        self._admit_waiting()

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._admit_waiting()

    def close(self) -> None:
        self._is_closed = True
        for caller in self._queue.clear():
            if not caller.admitted.done():
                caller.admitted.set_exception(ShuttingDown())

    async def _wait(self, owner: Owner, run_id: str, obstacle: str, on_move: OnMove | None) -> None:
        caller = QueuedCaller(run_id, owner, obstacle, asyncio.get_running_loop().create_future(), on_move)
        self._queue.add(owner, caller)
        if on_move is not None:
            self._watched[caller] = owner
            self._tell_places()
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                await caller.admitted
        except TimeoutError as exc:
            if run_id not in self._holders:  # else the slot came in the same iteration of the loop: in time
                raise TooManyRuns(obstacle) from exc
        except BaseException:
            if run_id in self._holders:  # the caller was cancelled in the same iteration: pass the slot on
                self.leave(run_id)
            raise
        finally:
            self._queue.discard(owner, caller)
            self._watched.pop(caller, None)
            self._tell_places_soon()
        if self._is_closed:
            self.leave(run_id)
            raise ShuttingDown

    def _admit_waiting(self) -> None:
        while len(self._holders) < self._limits.max_runs:
            taken = self._queue.take(lambda owner: self._obstacle(owner) is None)
            if taken is None:
                return
            owner, caller = taken
            if not caller.admitted.done():  # else it was cancelled, and was still in the queue
                self._take(owner, caller.run_id)
                caller.admitted.set_result(None)

    def _tell_places_soon(self) -> None:
        """Once for all that leave the queue in this iteration of the event loop."""
        if self._watched and not self._will_tell:
            self._will_tell = True
            asyncio.get_running_loop().call_soon(self._tell_places)

    def _tell_places(self) -> None:
        self._will_tell = False
        for place, caller in enumerate(self._queue.in_order(), 1):
            if (owner := self._watched.get(caller)) is not None:
                caller.tell(None if self._own_obstacle(owner) is not None else place)

    def _may_make_room_for(self, owner: Owner) -> bool:
        """Whether another key has so many callers in the queue that one of them should give way."""
        return len(self._queue) > 0 and self._queue.longest()[1] > self._queue.count(owner.key_id) + 1

    def _make_room_for(self, owner: Owner) -> None:
        while len(self._queue) >= self._limits.queue_size and self._may_make_room_for(owner):
            caller = self._queue.take_newest(self._queue.longest()[0])
            if not caller.admitted.done():
                caller.admitted.set_exception(TooManyRuns(caller.obstacle))

    def _obstacle(self, owner: Owner) -> str | None:
        """The limit that leaves no slot for the owner; None if there is one."""
        if len(self._holders) >= self._limits.max_runs:
            return obstacle_text("all", self._limits)
        return self._own_obstacle(owner)

    def _own_obstacle(self, owner: Owner) -> str | None:
        """The limit of the owner's key or user that leaves no slot."""
        limits, taken = self._limits, self._taken
        if 0 < limits.max_runs_per_key <= taken[owner.key_id]:
            return obstacle_text("key", limits)
        if owner.user_id is not None and 0 < limits.max_runs_per_user <= taken[owner]:
            return obstacle_text("user", limits)
        return None

    def _take(self, owner: Owner, run_id: str) -> None:
        self._holders[run_id] = owner
        for each in (owner.key_id, owner):
            self._taken[each] += 1


def obstacle_text(of: Literal["all", "key", "user"], limits: LimitsConfig) -> str:
    """Which limit leaves no slot, for the client."""
    if of == "key":
        return (
            f"{_going_on(limits.max_runs_per_key, 'run of this key', 'runs of this key')}; try again when one is done"
        )
    if of == "user":
        stop = "stop it" if limits.max_runs_per_user == 1 else "stop one"
        return f"{_going_on(limits.max_runs_per_user, 'of your runs', 'of your runs')}; {stop}, or wait for its end"
    return f"{_going_on(limits.max_runs, 'run', 'runs')}; try again in a moment"


def _going_on(most: int, one: str, several: str) -> str:
    return f"one {one} is still going on" if most == 1 else f"{most} {several} are still going on"
