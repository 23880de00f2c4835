"""Spreads the starts of runs over turns of the event loop, the keys in turn.

To read a question, build its team and begin its first model call takes some 2 ms of the event loop. Of 200 questions
that arrive together, each would take its steps in the same turns, and every turn would last for 200 steps: no token, no
refusal and no health check gets through meanwhile. So questions pass here one after the other. After a long turn
several pass, so that starts get a third of the time of a busy loop.
"""

import asyncio
from typing import Final

from aiostream_server.intake.principal import Owner
from aiostream_server.runs.fair_queue import FairQueue

_TURN_S: Final = 0.004
_MOST: Final = 8


class StartQueue:
    """For one event loop."""

    def __init__(self) -> None:
        self._waiting: Final[FairQueue[asyncio.Future[None]]] = FairQueue()
        self._is_pacing = False
        self._turned_at = 0.0

    def ahead_of(self, owner: Owner) -> int:
        """How many of those that wait would pass before this owner's next question."""
        return self._waiting.ahead_of(owner.key_id)

    async def wait(self, owner: Owner) -> None:
        """Return when the owner's next question may be read: at once if none was in this turn of the loop."""
        loop = asyncio.get_running_loop()
        if not self._is_pacing:
            self._is_pacing = True
            self._turned_at = loop.time()
            loop.call_soon(self._turn)
            return
        passed: asyncio.Future[None] = loop.create_future()
        self._waiting.add(owner, passed)
        try:
            await passed
        finally:
            self._waiting.discard(owner, passed)

    def _turn(self) -> None:
        """Once in each turn of the loop, as long as questions wait."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        free = min(1 + int((now - self._turned_at) / _TURN_S), _MOST)
        self._turned_at = now
        self._is_pacing = False
        while free and (taken := self._waiting.take()) is not None:
            _, passed = taken
            if not passed.done():  # else its caller was cancelled
                passed.set_result(None)
                self._is_pacing = True
                free -= 1
        if self._is_pacing:
            loop.call_soon(self._turn)
