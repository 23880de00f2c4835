"""The slots of all processes: `max_runs` and the other limits count the runs of all, and one queue serves all.

A slot belongs to its run, and a process's slots are given back when the process fails: no counter can leak. Slots that
become free are given away by Redis itself, to keys in turn. A process learns by a message that a caller of its own was
given one; it asks, too, in case the message was lost.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiostream_server.config.model import LimitsConfig, OnOutage
from aiostream_server.errors import RunsUnavailable, ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import ENTER, GRANT, HELD, LEAVE, RESTORE
from aiostream_server.runs.admission import obstacle_text
from aiostream_server.runs.shared.owned import digest

_ASK_S: Final = 0.5
_REFUSED_S: Final = 0.05  # after a refusal, the same key's callers are refused without asking
_OBSTACLES: Final[tuple[Literal["all", "key", "user"], ...]] = ("all", "all", "key", "user")


@dataclass(frozen=True, slots=True, eq=False)
class _Caller:
    owner: Owner
    obstacle: str
    admitted: asyncio.Future[None]


class RedisAdmission:
    """The `Admission` of all processes. While Redis is away each admits by its own count, or refuses."""

    def __init__(self, connection: RedisConnection, node: str, limits: LimitsConfig, on_outage: OnOutage) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._limits = limits
        self._serves_alone: Final = on_outage == "serve"
        self._held: Final[dict[str, Owner]] = {}
        self._waiting: Final[dict[str, _Caller]] = {}
        self._left: Final[set[str]] = set()  # Redis has to be told
        self._refused_until: Final[dict[Owner, tuple[float, str]]] = {}
        self._is_closed = False
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._refused_until.clear()
        self._begin(self._tell_limits())

    def refusal(self, owner: Owner, ahead: int = 0) -> ServerError | None:
        """Only what is known here: another process may have given back a slot."""
        if self._is_closed:
            return ShuttingDown()
        until, why = self._refused_until.get(owner, (0.0, ""))
        return TooManyRuns(why) if asyncio.get_running_loop().time() < until else None

    async def enter(self, owner: Owner, run_id: str) -> None:
        if (refusal := self.refusal(owner)) is not None:
            raise refusal
        limits = self._limits
        try:
            answer, why = await self._ask(owner, run_id)
        except RunsUnavailable:
            if not self._serves_alone:
                raise
            self._enter_alone(owner, run_id)
            return
        except BaseException:  # the caller was cancelled: it may have a slot
            self._give_back(run_id)
            raise
        if answer == 1:
            self._held[run_id] = owner
            return
        obstacle = obstacle_text(_OBSTACLES[why], limits)
        if answer == 0:
            self._refused_until[owner] = (asyncio.get_running_loop().time() + _REFUSED_S, obstacle)
            if len(self._refused_until) > limits.max_runs + 1000:
                self._refused_until.clear()
            raise TooManyRuns(obstacle)
        await self._wait(owner, run_id, obstacle)

    def leave(self, run_id: str) -> None:
        self._held.pop(run_id, None)
        self._refused_until.clear()
        self._give_back(run_id)

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
        elif caller is None and run_id not in self._held:
            self._give_back(run_id)

    def refused(self, run_id: str) -> None:
        """The run has lost its place in a full queue to one of another key."""
        caller = self._waiting.get(run_id)
        if caller is not None and not caller.admitted.done():
            caller.admitted.set_exception(TooManyRuns(caller.obstacle))

    def restore(self) -> None:
        """Redis was away, and may have lost what is held here."""
        self._begin(self._restore())

    async def settle(self) -> None:
        """Wait until Redis was told of all that was given back."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _wait(self, owner: Owner, run_id: str, obstacle: str) -> None:
        caller = self._waiting[run_id] = _Caller(owner, obstacle, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                while not caller.admitted.done():
                    await asyncio.wait({caller.admitted}, timeout=_ASK_S)
                    if not caller.admitted.done():
                        await self._look(run_id)
            caller.admitted.result()
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

    async def _look(self, run_id: str) -> None:
        """Whether the run was given a slot, or has lost its place."""
        with suppress(RunsUnavailable):
            (found,) = await self._connection.run(HELD, run_id)
            if found == 1:
                self.granted(run_id)
            elif found == 0 and (caller := self._waiting.get(run_id)) is not None:
                await self._ask(caller.owner, run_id)  # Redis has lost the queue

    async def _ask(self, owner: Owner, run_id: str) -> tuple[int, int]:
        limits = self._limits
        answer, why = await self._connection.run(ENTER, run_id, self._who(owner), *_counted(limits), limits.queue_size)
        return answer, why

    def _enter_alone(self, owner: Owner, run_id: str) -> None:
        limits, taken = self._limits, Counter(self._held.values())
        of_key = sum(count for each, count in taken.items() if each.key_id == owner.key_id)
        if len(self._held) >= limits.max_runs:
            raise TooManyRuns(obstacle_text("all", limits))
        if 0 < limits.max_runs_per_key <= of_key:
            raise TooManyRuns(obstacle_text("key", limits))
        if owner.user_id is not None and 0 < limits.max_runs_per_user <= taken[owner]:
            raise TooManyRuns(obstacle_text("user", limits))
        self._held[run_id] = owner

    def _who(self, owner: Owner) -> str:
        return f"{self._node} {digest(owner.key_id)} {'' if owner.user_id is None else digest(*owner)}"

    def _give_back(self, run_id: str) -> None:
        self._left.add(run_id)
        self._begin(self._tell_left())

    async def _tell_left(self) -> None:
        left = tuple(self._left)
        if left:
            await self._connection.run(LEAVE, *left)
            self._left.difference_update(left)

    async def _tell_limits(self) -> None:
        await self._connection.run(GRANT, *_counted(self._limits))

    async def _restore(self) -> None:
        held = [word for run_id, owner in self._held.items() for word in (run_id, self._who(owner))]
        if held:
            await self._connection.run(RESTORE, self._node, *held)
        await self._tell_left()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        async def attempt() -> None:
            with suppress(RunsUnavailable):  # `restore` repeats it
                await work

        task = asyncio.create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _counted(limits: LimitsConfig) -> tuple[int, int, int]:
    return limits.max_runs, limits.max_runs_per_key, limits.max_runs_per_user
