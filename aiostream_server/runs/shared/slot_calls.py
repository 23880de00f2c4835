"""The calls in which a process takes slots in Redis and gives them back, in an order in which none undoes another.

The slot of a run that has ended is given back by the write of its end (`write.lua`), a moment later. Here only what no
such write has told is told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import RunsUnavailable
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import ENTER, GRANT, HELD, LEAVE, RESTORE
from aiostream_server.runs.shared.owned import digest
from aiostream_server.runs.shared.write_schedule import END_WRITTEN_S

AT_ONCE: Final = 1000  # runs in one call: a script holds up all other callers of Redis


class SlotCalls:
    """Those of one process, `node`. While Redis is away nothing is told but by `restore`, when it is back."""

    def __init__(self, connection: RedisConnection, node: str) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._left: Final[dict[str, bool]] = {}
        """Runs of which Redis has to be told that they have left, and whether the write of their end tells, too."""
        self._asking: Final[set[str]] = set()
        self._telling_limits: Final = asyncio.Lock()
        self._telling: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._limiting: asyncio.Task[None] | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._is_ended = False

    async def enter(self, owner: Owner, run_id: str, limits: LimitsConfig) -> tuple[int, int]:
        """As `enter.lua`. Raises `RunsUnavailable`."""
        for earlier in (self._limiting, self._restoring):  # it might arrive after this call, and undo it
            if earlier is not None and not earlier.done():
                await asyncio.wait({earlier})
        left = tuple(self._left)  # a slot that was given back a moment ago is free for this run
        self._asking.add(run_id)
        try:
            answer, why = await self._connection.run(
                ENTER, run_id, self._who(owner), *_counted(limits), limits.queue_size, *left
            )
        finally:
            self._asking.discard(run_id)
        self._told(left)
        return answer, why

    async def held(self, run_ids: Sequence[str]) -> Sequence[tuple[int, int]]:
        """As `held.lua`. Raises `RunsUnavailable`."""
        found: Sequence[tuple[int, int]] = await self._connection.run(HELD, *run_ids)
        return found

    def give_back(self, run_id: str) -> None:
        """The run does not need its slot, or its place in the queue."""
        if self._connection.is_available:  # else `restore` tells what is held then
            self._left[run_id] = False
            self._telling = self._begin(self._tell_left, self._telling)

    def give_back_with_end(self, run_id: str) -> None:
        """The run has ended. `end_written` may follow."""
        if self._is_restoring:  # what it says is older: it might take the slot again
            self.give_back(run_id)
        elif self._connection.is_available:
            self._left[run_id] = True
            self._waiting = self._begin(self._tell_left_soon, self._waiting)

    def end_written(self, run_id: str) -> None:
        """Redis has freed the slot, with the end of its run."""
        if self._left.get(run_id):
            del self._left[run_id]

    def limit(self, limits: LimitsConfig) -> None:
        """Tell other limits; the latest are told last."""

        async def tell() -> None:
            async with self._telling_limits:
                await self._connection.run(GRANT, *_counted(limits))

        self._limiting = self._begin(tell)

    def restore(self, held: Callable[[], Mapping[str, Owner]], waiting: Collection[str]) -> None:
        """Redis was away, and may have lost what this process has, or has kept what was given back."""

        async def tell() -> None:
            slots, left = held(), tuple(self._left)
            words = [word for run_id, owner in slots.items() for word in (run_id, self._who(owner))]
            await self._connection.run(RESTORE, self._node, len(slots), *words, *self._asking, *waiting)
            self._told(left)

        self._restoring = self._begin(tell)

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
        if left := tuple(self._tasks):
            for task in left:
                task.cancel()
            await asyncio.wait(left)

    @property
    def _is_restoring(self) -> bool:
        return self._restoring is not None and not self._restoring.done()

    async def _tell_left_soon(self) -> None:
        await asyncio.sleep(END_WRITTEN_S)  # what `end_written` has taken out meanwhile costs no call
        await self._tell_left()

    async def _tell_left(self) -> None:
        if self._restoring is not None and self._is_restoring:
            await asyncio.wait({self._restoring})  # it might arrive after this call, and take the slot again
        while left := tuple(self._left)[:AT_ONCE]:
            await self._connection.run(LEAVE, self._node, *left)
            self._told(left)

    def _told(self, left: Collection[str]) -> None:
        for run_id in left:
            self._left.pop(run_id, None)

    def _who(self, owner: Owner) -> str:
        return f"{self._node} {digest(owner.key_id)} {'' if owner.user_id is None else digest(*owner)}"

    def _begin(
        self, work: Callable[[], Awaitable[None]], running: asyncio.Task[None] | None = None
    ) -> asyncio.Task[None] | None:
        """Begin what may fail while Redis is away, unless it is `running`."""
        if self._is_ended or (running is not None and not running.done()):
            return running

        async def attempt() -> None:
            with suppress(RunsUnavailable):  # `restore` repeats it
                await work()

        task = asyncio.create_task(attempt())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _counted(limits: LimitsConfig) -> tuple[int, int, int]:
    return limits.max_runs, limits.max_runs_per_key, limits.max_runs_per_user
