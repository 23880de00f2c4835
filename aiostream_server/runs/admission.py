"""Admission control: which runs may start now, which wait, and which are refused.

A run holds a slot until it ends. If none is free, its caller waits in a queue that is bounded in length and in time; a
caller that finds the queue full is refused at once.
"""

import asyncio
from collections import Counter
from typing import Protocol

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner


class Admission(Protocol):
    """The slots of every process that shares it. A slot is held by the id of its run."""

    @property
    def queued(self) -> int:
        """How many callers of this process wait."""

    @property
    def is_closed(self) -> bool: ...

    def limit(self, limits: LimitsConfig) -> None:
        """Apply other limits. Runs beyond lower limits go on; callers that may start now do."""

    async def enter(self, owner: Owner, run_id: str) -> None:
        """Take a slot, waiting for it if need be. Raises `TooManyRuns`, and `ShuttingDown` when closed."""

    def leave(self, run_id: str) -> None:
        """Give the slot back. Returns at once."""

    def close(self) -> None:
        """Admit no more runs in this process, and refuse those that wait."""


class MemoryAdmission:
    """The `Admission` of one process.

    A slot that is given back goes straight to the first in the queue that may have it: no caller waits that could run.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._holders: dict[str, Owner] = {}  # by run id
        self._taken: Counter[str | Owner | None] = Counter()  # by key id, and by owner
        self._queue: dict[str, tuple[Owner, asyncio.Future[None]]] = {}  # by run id; the first one came first
        self._is_closed = False

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def enter(self, owner: Owner, run_id: str) -> None:
        if self._is_closed:
            raise _closing()
        if (obstacle := self._obstacle(owner)) is None:
            self._take(owner, run_id)
        elif len(self._queue) >= self._limits.queue_size:
            raise TooManyRuns(obstacle)
        else:
            await self._wait(owner, run_id, obstacle)

    def leave(self, run_id: str) -> None:
        owner = self._holders.pop(run_id)
        self._taken -= Counter((owner.key_id, owner))
        self._admit_waiting()

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._admit_waiting()

    def close(self) -> None:
        self._is_closed = True
        for _, admitted in self._queue.values():
            if not admitted.done():
                admitted.set_exception(_closing())
        self._queue.clear()

    async def _wait(self, owner: Owner, run_id: str, obstacle: str) -> None:
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue[run_id] = owner, admitted
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                await admitted
        except TimeoutError as exc:
            if run_id not in self._holders:  # else the slot came in the same iteration of the loop: in time
                raise TooManyRuns(obstacle) from exc
        except BaseException:
            if run_id in self._holders:  # the caller was cancelled in the same iteration: pass the slot on
                self.leave(run_id)
            raise
        finally:
            self._queue.pop(run_id, None)
        if self._is_closed:
            self.leave(run_id)
            raise _closing()

    def _admit_waiting(self) -> None:
        for run_id, (owner, admitted) in tuple(self._queue.items()):
            if not admitted.done() and self._obstacle(owner) is None:  # done: cancelled, and still in the queue
                del self._queue[run_id]
                self._take(owner, run_id)
                admitted.set_result(None)

    def _obstacle(self, owner: Owner) -> str | None:
        """The limit that leaves no slot for the owner; None if there is one."""
        limits, taken = self._limits, self._taken
        if len(self._holders) >= limits.max_runs:
            return f"{limits.max_runs} runs are going on already; try again in a moment"
        if 0 < limits.max_runs_per_key <= taken[owner.key_id]:
            return f"{limits.max_runs_per_key} runs of this key are going on already; try again when one is done"
        if owner.user_id is not None and 0 < limits.max_runs_per_user <= taken[owner]:
            return f"{limits.max_runs_per_user} of your runs are going on already; try again when one is done"
        return None

    def _take(self, owner: Owner, run_id: str) -> None:
        self._holders[run_id] = owner
        self._taken.update((owner.key_id, owner))


def _closing() -> ServerError:
    return ShuttingDown("the server is shutting down; ask again in a moment")
