"""Who may start a run now, who waits, and who is sent away.

A slot is held for as long as a run lives. Where none is free, a caller waits in a queue that is bounded in length and
in time; a caller who finds the queue full is refused at once, so that overload is answered in no time.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import TooManyRuns


@dataclass(slots=True, eq=False)
class _Waiting:
    owner: str | None
    admitted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Admission:
    """The slots of one process. `owner` is the key of the caller; None where there are no keys."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits: Final = limits
        self._taken = 0
        self._taken_by: Counter[str | None] = Counter()
        self._queue: deque[_Waiting] = deque()

    @property
    def queued(self) -> int:
        return len(self._queue)

    async def enter(self, owner: str | None) -> None:
        """Take a slot, now or when one is free; `leave` gives it back. Raises `TooManyRuns`."""
        if not any(self._is_free(waiting.owner) for waiting in self._queue) and self._is_free(owner):
            self._take(owner)
            return
        if len(self._queue) >= self._limits.queue_size:
            raise self._refusal(owner)
        waiting = _Waiting(owner)
        self._queue.append(waiting)
        try:
            async with asyncio.timeout(self._limits.queue_timeout_s):
                await waiting.admitted
        except BaseException as exc:
            self._give_up(waiting)
            if isinstance(exc, TimeoutError):
                raise self._refusal(owner) from exc
            raise

    def leave(self, owner: str | None) -> None:
        """Give a slot back: the first who waits and may have it gets it."""
        self._taken -= 1
        self._taken_by[owner] -= 1
        if not self._taken_by[owner]:
            del self._taken_by[owner]
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        for waiting in tuple(self._queue):
            if self._is_free(waiting.owner):
                self._queue.remove(waiting)
                self._take(waiting.owner)
                waiting.admitted.set_result(None)

    def _give_up(self, waiting: _Waiting) -> None:
        """Leave the queue; or, where the slot came in the very moment in which nobody wanted it any more, the slot."""
        if waiting in self._queue:
            self._queue.remove(waiting)
        elif waiting.admitted.done() and not waiting.admitted.cancelled():
            self.leave(waiting.owner)

    def _is_free(self, owner: str | None) -> bool:
        per_key = self._limits.max_runs_per_key
        return self._taken < self._limits.max_runs and (not per_key or self._taken_by[owner] < per_key)

    def _take(self, owner: str | None) -> None:
        self._taken += 1
        self._taken_by[owner] += 1

    def _refusal(self, owner: str | None) -> TooManyRuns:
        limits = self._limits
        if self._taken >= limits.max_runs:
            return TooManyRuns(f"{limits.max_runs} runs are going on already; try again in a moment")
        return TooManyRuns(
            f"{limits.max_runs_per_key} runs of this key are going on already; try again when one is done"
        )
