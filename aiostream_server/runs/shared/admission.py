"""The slots of all processes: `max_runs` and the other limits count the runs of all, and one queue serves all.

A slot belongs to its run, and a process's slots are given back when the process fails: no counter can leak. Slots that
become free are given away by Redis itself, to keys in turn. A process learns by a message that a caller of its own was
given one; it asks, too, in case the message was lost, and for the places of those that want to know theirs.
"""

import asyncio
import time
from contextlib import suppress
from typing import Final

from aiostream_server.config.model import LimitsConfig, OnOutage
from aiostream_server.errors import RunsUnavailable, ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.runs.queued_caller import OnMove, QueuedCaller
from aiostream_server.runs.shared.recent_refusals import RecentRefusals
from aiostream_server.runs.shared.slot_calls import AT_ONCE, SlotCalls
from aiostream_server.runs.slots import HeldSlots, Obstacle, obstacle_text

_LOOK_S: Final = 0.5
_MOVE_S: Final = 0.02  # moves of the queue in so short a time are told together
_FULL_S: Final = 10.0  # so long after a caller found no slot others may wait for those of this process
_HELD, _WAITS = 1, 2
_OBSTACLES: Final[tuple[Obstacle, ...]] = ("all", "all", "key", "user")


class RedisAdmission:
    """The `Admission` of all processes. While Redis is away each admits by its own count, or refuses."""

    def __init__(self, connection: RedisConnection, node: str, limits: LimitsConfig, on_outage: OnOutage) -> None:
        self.calls: Final = SlotCalls(connection, node)
        self._connection: Final = connection
        self._limits = limits
        self._serves_alone: Final = on_outage == "serve"
        self._held: Final = HeldSlots()
        self._waiting: Final[dict[str, QueuedCaller]] = {}
        self._refusals: Final = RecentRefusals()
        self._full_at = -_FULL_S  # when a caller of this process found no slot last
        self._is_closed = False
        self._looking: asyncio.Task[None] | None = None
        self._has_moved: Final = asyncio.Event()  # the queue, as far as this process knows

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._refusals.clear()
        self.calls.limit(limits)

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
            answer, why = await self.calls.enter(owner, run_id, limits)
        except RunsUnavailable:
            if not self._serves_alone:
                raise
            await self._enter_alone(owner, run_id, on_move)
            return
        except BaseException:  # the caller was cancelled: it may have a slot
            self.calls.give_back(run_id)
            raise
        if answer == _HELD:
            self._held.take(owner, run_id)
            return
        self._full_at = time.monotonic()
        obstacle = obstacle_text(_OBSTACLES[why], limits)
        if answer != _WAITS:
            self._refusals.note(owner, obstacle)
            raise TooManyRuns(obstacle)
        await self._wait(QueuedCaller(run_id, owner, obstacle, on_move))

    def leave(self, run_id: str) -> None:
        self._held.give_back(run_id)
        self._refusals.clear()
        if not self._waiting and time.monotonic() - self._full_at > _FULL_S:
            self.calls.give_back_with_end(run_id)
            return
        self.calls.give_back(run_id)
        if self._waiting and not self._connection.is_available:
            self._admit_alone()

    def close(self) -> None:
        self._is_closed = True
        for caller in self._waiting.values():
            caller.refuse(ShuttingDown())

    def granted(self, run_id: str) -> None:
        """Redis has given a slot to a run of this process."""
        caller = self._waiting.get(run_id)
        if caller is not None and not caller.is_decided:
            self._held.take(caller.owner, run_id)
            caller.admit()
            self._has_moved.set()
        elif caller is None and run_id not in self._held:
            self.calls.give_back(run_id)

    def refused(self, run_id: str) -> None:
        """The run has lost its place in a full queue to one of another key."""
        if (caller := self._waiting.get(run_id)) is not None:
            caller.refuse(TooManyRuns(caller.obstacle))

    def restore(self) -> None:
        """Redis was away, and may have lost what is held here."""
        self.calls.restore(self._held.by_run, self._waiting)

    async def end(self, within_s: float) -> None:
        """For the end of the process: tell Redis of all that was given back. Whatever is left is given back with the
        process's lease."""
        await self.calls.end(within_s)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _wait(self, caller: QueuedCaller) -> None:
        run_id = caller.run_id
        self._waiting[run_id] = caller
        if caller.is_told:
            self._has_moved.set()
        if self._looking is None:
            self._looking = asyncio.create_task(self._watch_queue(), name="queue")
        try:
            await caller.until_admitted(self._limits.queue_timeout_s)
            if self._is_closed:
                raise ShuttingDown
        except BaseException:
            self._held.give_back(run_id)
            self.calls.give_back(run_id)
            raise
        finally:
            del self._waiting[run_id]

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
                        if not caller.was_told:
                            caller.tell(None)
        finally:
            self._looking = None

    async def _look(self) -> None:
        runs = tuple(self._waiting)[:AT_ONCE]
        for run_id, (found, place) in zip(runs, await self.calls.held(runs), strict=True):
            caller = self._waiting.get(run_id)
            if found == _HELD:
                self.granted(run_id)
            elif caller is None:
                continue
            elif found == _WAITS:
                caller.tell(place or None)
            elif not (await self.calls.enter(caller.owner, run_id, self._limits))[0]:  # Redis has lost the queue
                self.refused(run_id)

    async def _enter_alone(self, owner: Owner, run_id: str, on_move: OnMove | None) -> None:
        obstacle = self._held.obstacle(owner, self._limits)
        if obstacle is None:
            self._held.take(owner, run_id)
        elif len(self._waiting) < self._limits.queue_size:
            await self._wait(QueuedCaller(run_id, owner, obstacle_text(obstacle, self._limits), on_move))
        else:
            raise TooManyRuns(obstacle_text(obstacle, self._limits))

    def _admit_alone(self) -> None:
        """Redis is away: give the slots of this process that are free to its callers, in the order of arrival."""
        for caller in self._waiting.values() if self._serves_alone else ():
            if not caller.is_decided and self._held.obstacle(caller.owner, self._limits) is None:
                self._held.take(caller.owner, caller.run_id)
                caller.admit()
