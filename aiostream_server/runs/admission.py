"""Admission control: which runs may start now, which wait, and which are refused.

A run holds a slot until it ends. If none is free, its caller waits in a queue that is bounded in length and in time; a
caller that finds the queue full is refused at once.
"""

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner

_K = TypeVar("_K")


class Admission(Protocol):
    """The slots of every process that shares it. A slot is held by the id of its run."""

    @property
    def queued(self) -> int:
        """How many callers of this process wait."""
        ...

    @property
    def is_closed(self) -> bool: ...

    def limit(self, limits: LimitsConfig) -> None:
        """Apply other limits. Runs beyond lower limits go on; callers that may start now do."""
        ...

    async def enter(self, owner: Owner, run_id: str) -> None:
        """Take a slot, waiting for it if need be. Raises `TooManyRuns`, and `ShuttingDown` when closed."""
        ...

    def leave(self, run_id: str) -> None:
        """Give the slot back. Returns at once."""
        ...

    def close(self) -> None:
        """Admit no more runs in this process, and refuse those that wait."""
        ...


@dataclass(slots=True, eq=False)
class _Waiting:
    owner: Owner
    run_id: str
    admitted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def has_slot(self) -> bool:
        return self.admitted.done() and not self.admitted.cancelled() and self.admitted.exception() is None


class MemoryAdmission:
    """The `Admission` of one process.

    A slot that is given back goes straight to the first in the queue that may have it: no caller waits that could run.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._holders: dict[str, Owner] = {}  # by run id
        self._taken_by_key: Counter[str | None] = Counter()
        self._taken_by_user: Counter[Owner] = Counter()
        self._queue: OrderedDict[_Waiting, None] = OrderedDict()
        self._is_closed = False

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    async def enter(self, owner: Owner, run_id: str) -> None:
        if self._is_closed:
            raise ShuttingDown()
        if self._is_free(owner):
            self._take(owner, run_id)
            return
        if len(self._queue) >= self._limits.queue_size:
            raise self._refusal(owner)
        await self._wait(_Waiting(owner, run_id))

    def leave(self, run_id: str) -> None:
        owner = self._holders.pop(run_id)
        _give_back(self._taken_by_key, owner.key_id)
        _give_back(self._taken_by_user, owner)
        self._admit_waiting()

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._admit_waiting()

    def close(self) -> None:
        self._is_closed = True
        for waiting in self._queue:
            if not waiting.admitted.done():
                waiting.admitted.set_exception(ShuttingDown())
        self._queue.clear()

    async def _wait(self, waiting: _Waiting) -> None:
        self._queue[waiting] = None
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                await waiting.admitted
        except TimeoutError as exc:
            if not waiting.has_slot:  # else the slot came in the same iteration of the loop: in time
                raise self._refusal(waiting.owner) from exc
        except BaseException:
            if waiting.has_slot:  # the caller was cancelled in the same iteration: pass the slot on
                self.leave(waiting.run_id)
            raise
        finally:
            self._queue.pop(waiting, None)
        if self._is_closed:
            self.leave(waiting.run_id)
            raise ShuttingDown()

    def _admit_waiting(self) -> None:
        for waiting in tuple(self._queue):
            if len(self._holders) >= self._limits.max_runs:
                return
            if self._is_free(waiting.owner) and not waiting.admitted.done():  # done: cancelled, and still in the queue
                del self._queue[waiting]
                self._take(waiting.owner, waiting.run_id)
                waiting.admitted.set_result(None)

    def _is_free(self, owner: Owner) -> bool:
        return len(self._holders) < self._limits.max_runs and not self._has_all(owner)

    def _has_all(self, owner: Owner) -> bool:
        """Whether the key, or its user, is at its limit."""
        per_key, per_user = self._limits.max_runs_per_key, self._limits.max_runs_per_user
        return (0 < per_key <= self._taken_by_key[owner.key_id]) or (
            owner.user_id is not None and 0 < per_user <= self._taken_by_user[owner]
        )

    def _take(self, owner: Owner, run_id: str) -> None:
        self._holders[run_id] = owner
        self._taken_by_key[owner.key_id] += 1
        self._taken_by_user[owner] += 1

    def _refusal(self, owner: Owner) -> ServerError:
        """Says which limit left no slot for the owner."""
        if len(self._holders) >= self._limits.max_runs:
            return TooManyRuns(f"{self._limits.max_runs} runs are going on already; try again in a moment")
        per_key = self._limits.max_runs_per_key
        if 0 < per_key <= self._taken_by_key[owner.key_id]:
            return TooManyRuns(f"{per_key} runs of this key are going on already; try again when one is done")
        per_user = self._limits.max_runs_per_user
        return TooManyRuns(f"{per_user} of your runs are going on already; try again when one is done")


def _give_back(taken: Counter[_K], taker: _K) -> None:
    taken[taker] -= 1
    if not taken[taker]:
        del taken[taker]
