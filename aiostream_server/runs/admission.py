"""Who may start a run now, who waits, and who is sent away.

A slot is held for as long as a run lives. Where none is free, a caller waits in a queue that is bounded in length and
in time; a caller who finds the queue full is refused at once, so that overload is answered in no time.
"""

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import ServerError, ShuttingDown, TooManyRuns
from aiostream_server.intake.principal import Owner

_K = TypeVar("_K")


@dataclass(slots=True, eq=False)
class _Waiting:
    owner: Owner
    admitted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def has_slot(self) -> bool:
        return self.admitted.done() and not self.admitted.cancelled() and self.admitted.exception() is None


class Admission:
    """The slots of one process.

    Whoever waits could not run at this moment: slots are handed over the moment in which they are given back.
    """

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._taken = 0
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

    async def enter(self, owner: Owner) -> None:
        """Take a slot, now or when one is free; `leave` gives it back. Raises `TooManyRuns` and `ShuttingDown`."""
        if self._is_closed:
            raise _closing()
        if self._is_free(owner):
            self._take(owner)
            return
        if len(self._queue) >= self._limits.queue_size:
            raise self._refusal(owner)
        await self._wait(_Waiting(owner))

    def leave(self, owner: Owner) -> None:
        """Give a slot back: the first who waits and may have it gets it."""
        self._taken -= 1
        _give_back(self._taken_by_key, owner.key_id)
        _give_back(self._taken_by_user, owner)
        self._admit_waiting()

    def limit(self, limits: LimitsConfig) -> None:
        """From now on. Runs beyond lower limits go on; whoever waits and may start now does."""
        self._limits = limits
        self._admit_waiting()

    def close(self) -> None:
        """Admit nobody any more; whoever waits is sent away now."""
        self._is_closed = True
        for waiting in self._queue:
            if not waiting.admitted.done():
                waiting.admitted.set_exception(_closing())
        self._queue.clear()

    async def _wait(self, waiting: _Waiting) -> None:
        self._queue[waiting] = None
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                await waiting.admitted
        except TimeoutError as exc:
            if not waiting.has_slot:  # else it came in the very last moment: in time
                raise self._refusal(waiting.owner) from exc
        except BaseException:
            if waiting.has_slot:  # it came in the very moment in which nobody wanted it any more
                self.leave(waiting.owner)
            raise
        finally:
            self._queue.pop(waiting, None)
        if self._is_closed:
            self.leave(waiting.owner)
            raise _closing()

    def _admit_waiting(self) -> None:
        for waiting in tuple(self._queue):
            if self._taken >= self._limits.max_runs:
                return
            if self._is_free(waiting.owner) and not waiting.admitted.done():  # done: cancelled, and not gone yet
                del self._queue[waiting]
                self._take(waiting.owner)
                waiting.admitted.set_result(None)

    def _is_free(self, owner: Owner) -> bool:
        return self._taken < self._limits.max_runs and not self._has_all(owner)

    def _has_all(self, owner: Owner) -> bool:
        """Whether the key, or the user behind it, has as many runs as it may have."""
        per_key, per_user = self._limits.max_runs_per_key, self._limits.max_runs_per_user
        return (0 < per_key <= self._taken_by_key[owner.key_id]) or (
            owner.user_id is not None and 0 < per_user <= self._taken_by_user[owner]
        )

    def _take(self, owner: Owner) -> None:
        self._taken += 1
        self._taken_by_key[owner.key_id] += 1
        self._taken_by_user[owner] += 1

    def _refusal(self, owner: Owner) -> ServerError:
        """Of somebody for whom there is no slot."""
        if self._taken >= self._limits.max_runs:
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


def _closing() -> ServerError:
    return ShuttingDown("the server is shutting down; ask again in a moment")
