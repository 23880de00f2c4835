"""The runs of this process: those that are going on, and those that ended a while ago.

A run belongs to the owner (an API key, or one user of it) that started it; for everybody else it does not exist.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import NotFound, RunExpired
from aiostream_server.events import FinishReason
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.admission import Admission
from aiostream_server.runs.finished_runs import FinishedRuns
from aiostream_server.runs.idempotency import Idempotency, KnownStarts
from aiostream_server.runs.reference_count import ReferenceCount
from aiostream_server.runs.run import Run, RunParts, RunRequest
from aiostream_server.runs.turns import Turns

__all__ = ["Idempotency", "Registry"]


class Registry:
    """Starts, finds and ends runs. Used from one event loop only."""

    def __init__(self, parts: RunParts) -> None:
        self.ended = 0
        self._parts = parts
        self._admission: Final = Admission(parts.limits)
        self._turns: Final = Turns(parts.concurrent_turns)
        self._known_starts: Final = KnownStarts()
        self._shelf: Final = FinishedRuns(parts.limits, on_drop=self._known_starts.forget)
        self._live: dict[str, Run] = {}

    def __len__(self) -> int:
        return len(self._live)

    @property
    def is_closing(self) -> bool:
        return self._admission.is_closed

    @property
    def queued(self) -> int:
        """How many callers wait for a slot."""
        return self._admission.queued

    @property
    def viewers(self) -> int:
        return sum(run.log.viewers for run in self._live.values())

    @property
    def limits(self) -> LimitsConfig:
        """Those that new runs get."""
        return self._parts.limits

    def renew(self, parts: RunParts) -> None:
        """What runs are made of from now on. Those that are live, or wait for their slot, go on with what they have;
        how many there may be is judged by the new limits."""
        self._parts = parts
        self._turns.policy = parts.concurrent_turns
        self._shelf.limit(parts.limits)
        self._admission.limit(parts.limits)

    async def start(
        self, request: RunRequest, idempotency: Idempotency | None = None, parts: RunParts | None = None
    ) -> Run:
        """Admit and start a run, or find the one that the same idempotency key has started.

        `parts` are those that the request was understood by; without any, the latest.

        Raises `TooManyRuns`, `ShuttingDown`, and `Conflict` for a key that was used for something else, or for a
        conversation that is busy.
        """
        self._shelf.drop_old()
        made_of = parts or self._parts
        if idempotency is None:
            return await self._start(request, made_of)
        return await self._known_starts.find_or_start(request.owner, idempotency, lambda: self._start(request, made_of))

    def find(self, run_id: str, owner: Owner) -> Run:
        """Raises `NotFound` for a run that is not this owner's, `RunExpired` for one whose events were dropped."""
        run = self._live.get(run_id) or self._shelf.get(run_id)
        if run is not None and run.owner == owner:
            return run
        if self._shelf.was_dropped(run_id, owner):
            raise RunExpired(f"the run {run_id} has ended, and its events are kept no longer")
        raise NotFound(f"there is no run {run_id[:80]!r}")

    def runs_of(self, owner: Owner) -> Iterator[Run]:
        """The owner's runs, those that are going on first, then the latest."""
        live = reversed(self._live.values())
        return (run for run in (*live, *reversed(list(self._shelf))) if run.owner == owner)

    async def drain(self) -> None:
        """Take no more runs; wait until those that are live have ended."""
        self._admission.close()
        while self._live:
            await asyncio.gather(*(run.wait() for run in tuple(self._live.values())))

    async def close(self, reason: FinishReason = "interrupted") -> None:
        """Take no more runs; end those that are live, and wait until they have ended."""
        self._admission.close()
        for run in tuple(self._live.values()):
            run.stop(reason)
        await self.drain()

    async def _start(self, request: RunRequest, parts: RunParts) -> Run:
        with parts.holders.holding():
            return await self._admitted(request, parts)

    async def _admitted(self, request: RunRequest, parts: RunParts) -> Run:
        self._turns.check(request)
        await self._turns.interrupt(request)
        await self._admission.enter(request.owner)
        try:
            self._turns.check(request)  # again: it may have waited for its slot
            run = Run(request, parts)
        except BaseException:
            self._admission.leave(request.owner)
            raise
        self._live[run.id] = run
        parts.holders.enter()
        run.start(after=self._turns.enter(run), on_end=lambda: self._ended(run, parts.holders))
        return run

    def _ended(self, run: Run, holders: ReferenceCount) -> None:
        del self._live[run.id]
        holders.leave()
        self.ended += 1
        self._turns.leave(run)
        self._admission.leave(run.owner)
        self._shelf.put(run)
