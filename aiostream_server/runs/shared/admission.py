"""The slots of all processes: `max_runs` and the other limits count the runs of all, and one queue serves all.

A slot belongs to its run, and a process's slots are given back when the process fails: no counter can leak. Slots that
become free are given away by Redis itself, to keys in turn. A process learns by a message that a caller of its own was
given one; it asks, too, in case the message was lost, and for the places of those that want to know theirs.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

from aiostream_server.config.model import LimitsConfig, OnOutage
from aiostream_server.errors import RunsUnavailable, ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import ENTER, GRANT, HELD, LEAVE, RESTORE
from aiostream_server.runs.admission import OnMove, QueuedCaller, obstacle_text
from aiostream_server.runs.shared.owned import digest
from aiostream_server.runs.shared.recent_refusals import RecentRefusals

_LOOK_S: Final = 0.5
_MOVE_S: Final = 0.02  # moves of the queue in so short a time are told together
_AT_ONCE: Final = 1000  # runs in one call: a script holds up all other callers of Redis
_HELD, _WAITS = 1, 2
_OBSTACLES: Final[tuple[Literal["all", "key", "user"], ...]] = ("all", "all", "key", "user")


class RedisAdmission:
    """The `Admission` of all processes. While Redis is away each admits by its own count, or refuses."""

    def __init__(self, connection: RedisConnection, node: str, limits: LimitsConfig, on_outage: OnOutage) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._limits = limits
        self._serves_alone: Final = on_outage == "serve"
        self._held: Final[dict[str, Owner]] = {}
        self._waiting: Final[dict[str, QueuedCaller]] = {}
        self._left: Final[set[str]] = set()  # Redis has to be told
        self._disowned: Final[set[str]] = set()
        self._refusals: Final = RecentRefusals()
        self._telling_limits: Final = asyncio.Lock()
        self._is_telling = False
        self._is_ended = False
        self._is_closed = False
        self._limiting: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._asking: Final[set[str]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._has_moved: Final = asyncio.Event()  # the queue, as far as this process knows
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._refusals.clear()
        self._limiting = self._begin(self._tell_limits)

    def refusal(self, owner: Owner, ahead: int = 0) -> ServerError | None:
        """Only what is known here: another process may have given back a slot."""
        if self._is_closed:
            return ShuttingDown()
        why = self._refusals.of(owner)
        return None if why is None else TooManyRuns(why)

    async def enter(self, owner: Owner, run_id: str, on_move: OnMove | None = None) -> None:
        if (refusal := self.refusal(owner)) is not None:
            raise refusal
        limits = self._limits
        try:
            answer, why = await self._ask(owner, run_id)
        except RunsUnavailable:
            if not self._serves_alone:
                raise
            await self._enter_alone(owner, run_id, on_move)
            return
        except BaseException:  # the caller was cancelled: it may have a slot
            self._give_back(run_id)
            raise
        if answer == _HELD:
            self._held[run_id] = owner
            return
        obstacle = obstacle_text(_OBSTACLES[why], limits)
        if answer != _WAITS:
            self._refusals.note(owner, obstacle)
            raise TooManyRuns(obstacle)
        await self._wait(owner, run_id, obstacle, on_move)

    def disown(self, run_id: str) -> None:
        """Another process has taken the run over, and perhaps its slot: `leave` gives nothing back."""
        if self._held.pop(run_id, None) is not None:
            self._disowned.add(run_id)

    def leave(self, run_id: str) -> None:
        if run_id in self._disowned:
            self._disowned.discard(run_id)
            return
        self._held.pop(run_id, None)
        self._refusals.clear()
        self._give_back(run_id)
        if self._waiting and not self._connection.is_available:
            self._admit_alone()

    def close(self) -> None:
        self._is_closed = True
        for caller in self._waiting.values():
            if not caller.admitted.done():
                caller.admitted.set_exception(ShuttingDown())

    def granted(self, run_id: str) -> None:
        """Redis has given a slot to a run of this process."""
        caller = self._waiting.get(run_id)
        if caller is not None and not caller.admitted.done():
            self._held[run_id] = caller.owner
            caller.admitted.set_result(None)
            self._has_moved.set()
        elif caller is None and run_id not in self._held:
            self._give_back(run_id)

    def refused(self, run_id: str) -> None:
        """The run has lost its place in a full queue to one of another key."""
        caller = self._waiting.get(run_id)
        if caller is not None and not caller.admitted.done():
            caller.admitted.set_exception(TooManyRuns(caller.obstacle))

    def restore(self) -> None:
        """Redis was away, and may have lost what is held here."""
        self._restoring = self._begin(self._restore)

    async def settle(self) -> None:
        """Wait until Redis was told of all that was given back."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def end(self, within_s: float) -> None:
        """As `settle`, for the end of the process. Whatever is left is given back with its lease."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.settle()
        self._is_ended = True
        left = tuple(filter(None, (*self._tasks, self._looking)))
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _wait(self, owner: Owner, run_id: str, obstacle: str, on_move: OnMove | None) -> None:
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller = self._waiting[run_id] = QueuedCaller(run_id, owner, obstacle, admitted, on_move)
        if on_move is not None:
            self._has_moved.set()
        if self._looking is None:
            self._looking = asyncio.create_task(self._watch_queue(), name="queue")
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                await caller.admitted
        except TimeoutError as exc:
            if run_id not in self._held:  # else the slot came in the same iteration of the loop: in time
                self._give_back(run_id)
                raise TooManyRuns(obstacle) from exc
        except BaseException:
            self._held.pop(run_id, None)
            self._give_back(run_id)
            raise
        finally:
            del self._waiting[run_id]
        if self._is_closed:
            self.leave(run_id)
            raise ShuttingDown

    async def _watch_queue(self) -> None:
        """As long as callers wait: tell them their places, and look for those that missed a message."""
        try:
            while self._waiting:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._has_moved.wait()
                        await asyncio.sleep(_MOVE_S)  # further moves come with this one
                self._has_moved.clear()
                try:
                    await self._look()
                except RunsUnavailable:
                    self._admit_alone()
                    for caller in self._waiting.values():
                        if caller.place == 0:
                            caller.tell(None)
        finally:
            self._looking = None

    async def _look(self) -> None:
        runs = tuple(self._waiting)[:_AT_ONCE]
        for run_id, (found, place) in zip(runs, await self._connection.run(HELD, *runs), strict=True):
            caller = self._waiting.get(run_id)
            if found == _HELD:
                self.granted(run_id)
            elif caller is None:
                continue
            elif found == _WAITS:
                caller.tell(place or None)
            elif not (await self._ask(caller.owner, run_id))[0]:  # Redis has lost the queue
                self.refused(run_id)

    async def _ask(self, owner: Owner, run_id: str) -> tuple[int, int]:
        for earlier in (self._limiting, self._restoring):  # it might arrive after this call, and undo it
            if earlier is not None and not earlier.done():
                await asyncio.wait({earlier})
        limits, left = self._limits, tuple(self._left)  # a slot that was given back a moment ago is free for this run
        self._asking.add(run_id)
        try:
            answer, why = await self._connection.run(
                ENTER, run_id, self._who(owner), *_counted(limits), limits.queue_size, *left
            )
        finally:
            self._asking.discard(run_id)
        self._left.difference_update(left)
        return answer, why

    async def _enter_alone(self, owner: Owner, run_id: str, on_move: OnMove | None) -> None:
        obstacle = self._obstacle_alone(owner)
        if obstacle is None:
            self._held[run_id] = owner
        elif len(self._waiting) < self._limits.queue_size:
            await self._wait(owner, run_id, obstacle, on_move)
        else:
            raise TooManyRuns(obstacle)

    def _admit_alone(self) -> None:
        """Redis is away: give the slots of this process that are free to its callers, in the order of arrival."""
        for caller in self._waiting.values() if self._serves_alone else ():
            if not caller.admitted.done() and self._obstacle_alone(caller.owner) is None:
                self._held[caller.run_id] = caller.owner
                caller.admitted.set_result(None)

    def _obstacle_alone(self, owner: Owner) -> str | None:
        limits, taken = self._limits, Counter(self._held.values())
        of_key = sum(count for each, count in taken.items() if each.key_id == owner.key_id)
        if len(self._held) >= limits.max_runs:
            return obstacle_text("all", limits)
        if 0 < limits.max_runs_per_key <= of_key:
            return obstacle_text("key", limits)
        if owner.user_id is not None and 0 < limits.max_runs_per_user <= taken[owner]:
            return obstacle_text("user", limits)
        return None

    def _who(self, owner: Owner) -> str:
        return f"{self._node} {digest(owner.key_id)} {'' if owner.user_id is None else digest(*owner)}"

    def _give_back(self, run_id: str) -> None:
        if not self._connection.is_available:
            return  # `restore` tells what is held then
        self._left.add(run_id)
        if not self._is_telling:
            self._is_telling = True
            self._begin(self._tell_left)

    async def _tell_left(self) -> None:
        try:
            if self._restoring is not None and not self._restoring.done():
                await asyncio.wait({self._restoring})  # it might arrive after this call, and take the slot again
            while left := tuple(self._left)[:_AT_ONCE]:
                await self._connection.run(LEAVE, *left)
                self._left.difference_update(left)
        finally:
            self._is_telling = False

    async def _tell_limits(self) -> None:
        async with self._telling_limits:  # the latest are told last
            await self._connection.run(GRANT, *_counted(self._limits))

    async def _restore(self) -> None:
        held = [word for run_id, owner in self._held.items() for word in (run_id, self._who(owner))]
        left = tuple(self._left)
        await self._connection.run(RESTORE, self._node, len(held) // 2, *held, *self._asking, *self._waiting)
        self._left.difference_update(left)

    def _begin(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None] | None:
        if self._is_ended:
            return None

        async def attempt() -> None:
            with suppress(RunsUnavailable):  # `restore` repeats it
                await work()

        task = asyncio.create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _counted(limits: LimitsConfig) -> tuple[int, int, int]:
    return limits.max_runs, limits.max_runs_per_key, limits.max_runs_per_user
