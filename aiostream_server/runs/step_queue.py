"""Spreads the expensive steps of runs over turns of the event loop, the keys in turn.

To read a question and to build its team takes a millisecond of the event loop, and so does what AutoGen does at the end
of a model call. Of 200 questions that arrive together, or 200 answers that end together, each would take its steps in
the same turns of the loop, and each turn would last for 200 steps: no token, no refusal and no health check gets
through meanwhile. So each waits here before such a step, and some go on in each turn: as many as take 4 ms together, by
the last turn, and more of them after a long turn, so that they get about half of the time of a busy loop.

Steps may take longer than those of the last turn did. So each looks at the time when it is to go on: where the steps
before it have used up the turn's share, it waits for the next turn.
"""

import asyncio
import time
from collections import deque
from typing import Final

from aiostream_server.intake.principal import Owner
from aiostream_server.runs.fair_queue import FairQueue

_STEP_S: Final = 0.004
_LONGEST_S: Final = 3 * _STEP_S
_SHORTEST_S: Final = 0.0001
_MOST: Final = 8


class StepQueue:
    """One event loop's queue."""

    def __init__(self) -> None:
        self._waiting: Final[FairQueue[asyncio.Future[None]]] = FairQueue()
        self._postponed: Final[deque[asyncio.Future[None]]] = deque()
        """Before those that wait: it was their turn already, and the time was used up."""
        self._is_pacing = False
        self._turned_at = 0.0
        self._passed = 1  # steps in the turn that ends now
        self._share_s = 0.0  # of this turn, for its steps
        self._began_at: float | None = None  # the first of its steps

    def ahead_of(self, owner: Owner) -> int:
        """How many of those that wait go on before this owner's next one."""
        return len(self._postponed) + self._waiting.ahead_of(owner.key_id)

    async def wait(self, owner: Owner) -> None:
        """Return when the owner's next step may be taken: at once if none was in this turn of the loop."""
        loop = asyncio.get_running_loop()
        if not self._is_pacing:
            self._is_pacing = True
            self._turned_at, self._passed = time.thread_time(), 1
            loop.call_soon(self._turn)
            return
        passed: asyncio.Future[None] = loop.create_future()
        self._waiting.add(owner, passed)
        try:
            await passed
        finally:
            self._waiting.discard(owner, passed)
        while not self._has_time():
            self._postponed.append(passed := loop.create_future())
            await passed
        self._passed += 1

    def _has_time(self) -> bool:
        """Whether the steps of this turn have left time for another one. There is always time for one."""
        now = time.thread_time()
        if self._began_at is None:
            self._began_at = now
        return now - self._began_at < self._share_s

    def _turn(self) -> None:
        """Once in each turn of the loop, as long as steps wait."""
        now = time.thread_time()  # not the time of day: on a busy machine a turn takes long, and does little
        took_s = now - self._turned_at
        free = min(max(1 + int(took_s / _STEP_S), int(self._passed * _STEP_S / max(took_s, _SHORTEST_S))), _MOST)
        self._share_s = min(max(_STEP_S, took_s / 2), _LONGEST_S)
        self._turned_at, self._passed, self._began_at = now, 0, None
        self._is_pacing = False
        while free and (passed := self._next()) is not None:
            if not passed.done():  # else its caller was cancelled
                passed.set_result(None)
                self._is_pacing = True
                free -= 1
        if self._is_pacing:
            asyncio.get_running_loop().call_soon(self._turn)

    def _next(self) -> asyncio.Future[None] | None:
        if self._postponed:
            return self._postponed.popleft()
        taken = self._waiting.take()
        return None if taken is None else taken[1]
