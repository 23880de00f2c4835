"""When which runs of this process are to be written to Redis.

All of them every 150 ms. Those with viewers in other processes as soon as they have news, but once in 10 ms. So it is
when a run begins or an agent ends its turn, but once in 20 ms, and 5 ms later. At once what others wait for.
"""

import asyncio
import math
from collections.abc import Container
from contextlib import suppress
from typing import Final

_PERIOD_S: Final = 0.15  # with the time of a call, less than the 200 ms that may be lost
_VIEWED_PERIOD_S: Final = 0.01
_SOON_S: Final = 0.02  # what begins or ends in so short a time is written in one call
END_WRITTEN_S: Final = 0.05
"""Within so long the end of a run is usually written."""
_LEAD_S: Final = 0.005  # a run has said something by then: its first event is written with its beginning


class WriteSchedule:
    """Runs are named by their ids. For one event loop, whose time all moments are."""

    def __init__(self) -> None:
        self._at_once: set[str] = set()
        self._soon: set[str] = set()
        self._soon_at = math.inf
        self._soon_last = 0.0
        self._viewed_at = math.inf
        self._viewed_last = 0.0
        self._all_at = 0.0
        self._wake: Final = asyncio.Event()

    def hurry(self, run_id: str) -> None:
        """Write this run now."""
        self._at_once.add(run_id)
        self._wake.set()

    def write_soon(self, run_id: str) -> None:
        """Write this run in a moment, with others that begin or end then."""
        if not self._soon:
            self._soon_at = max(_now() + _LEAD_S, self._soon_last + _SOON_S)
            self._wake.set()
        self._soon.add(run_id)

    def viewed_news(self) -> None:
        """A run with viewers in other processes has something to write."""
        at = max(_now(), self._viewed_last + _VIEWED_PERIOD_S)
        if at < self._viewed_at:
            self._viewed_at = at
            self._wake.set()

    def keep(self, runs: Container[str]) -> None:
        """Forget what the process keeps no longer."""
        for names in (self._at_once, self._soon):
            names.difference_update([each for each in names if each not in runs])

    async def until_due(self, has_runs: bool) -> None:
        """Return when there may be something to write."""
        while (at := self._due_at(has_runs)) > _now():
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if at == math.inf else at):
                    await self._wake.wait()

    def due(self, viewed: set[str]) -> set[str] | None:
        """The runs that are to be written now; None: all of them. `viewed` are those with viewers elsewhere."""
        now = _now()
        names, self._at_once = self._at_once, set()
        if now >= self._soon_at:
            names |= self._soon
            self._soon, self._soon_at, self._soon_last = set(), math.inf, now
        if now >= self._viewed_at:
            names |= viewed
            self._viewed_at, self._viewed_last = math.inf, now
        if now >= self._all_at:
            self._all_at = now + _PERIOD_S
            return None
        return names

    def _due_at(self, has_runs: bool) -> float:
        if self._at_once:
            return 0.0
        return min(self._soon_at, self._viewed_at, self._all_at if has_runs else math.inf)


def _now() -> float:
    return asyncio.get_running_loop().time()
