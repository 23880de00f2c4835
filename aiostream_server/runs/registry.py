"""The runs of this process: those that are going on, and those that ended a while ago.

A run belongs to the owner (the API key) that started it; for everybody else it does not exist.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.errors import Conflict, NotFound, RunExpired, ShuttingDown
from aiostream_server.events import FinishReason
from aiostream_server.runs.admission import Admission
from aiostream_server.runs.run import Run, RunParts, RunRequest
from aiostream_server.runs.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's `Idempotency-Key`, and a fingerprint of what was asked with it."""

    key: str
    fingerprint: str


class Registry:
    """Starts, finds and ends runs. Used from one event loop only."""

    def __init__(self, parts: RunParts) -> None:
        self._parts: Final = parts
        self._admission: Final = Admission(parts.limits)
        self._shelf: Final = Shelf(parts.limits)
        self._live: dict[str, Run] = {}
        self._by_idempotency: dict[tuple[str | None, str], tuple[str, asyncio.Future[Run]]] = {}
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._live)

    @property
    def is_closing(self) -> bool:
        return self._is_closing

    @property
    def queued(self) -> int:
        """How many callers wait for a slot."""
        return self._admission.queued

    @property
    def viewers(self) -> int:
        return sum(run.log.viewers for run in self._live.values())

    async def start(self, request: RunRequest, idempotency: Idempotency | None = None) -> Run:
        """Admit and start a run, or find the one that the same idempotency key has started.

        Raises `TooManyRuns`, `ShuttingDown`, and `Conflict` for a key that was used for something else.
        """
        if idempotency is None:
            return await self._start(request)
        known_as = (request.owner, idempotency.key)
        if (known := self._by_idempotency.get(known_as)) is not None:
            fingerprint, starting = known
            if fingerprint != idempotency.fingerprint:
                raise Conflict("this Idempotency-Key was used for another request")
            return await asyncio.shield(starting)
        return await self._start_known_as(known_as, idempotency.fingerprint, request)

    def find(self, run_id: str, owner: str | None) -> Run:
        """Raises `NotFound` for a run that is not this owner's, `RunExpired` for one whose events were dropped."""
        run = self._live.get(run_id) or self._shelf.get(run_id)
        if run is not None and run.owner == owner:
            return run
        if self._shelf.was_dropped(run_id, owner):
            raise RunExpired(f"the run {run_id} has ended, and its events are kept no longer")
        raise NotFound(f"there is no run {run_id[:80]!r}")

    def runs_of(self, owner: str | None) -> Iterator[Run]:
        """The owner's runs, those that are going on first, then the latest."""
        live = reversed(self._live.values())
        return (run for run in (*live, *reversed(list(self._shelf))) if run.owner == owner)

    async def drain(self) -> None:
        """Take no more runs; wait until those that are live have ended."""
        self._is_closing = True
        while self._live:
            await asyncio.gather(*(run.wait() for run in tuple(self._live.values())))

    async def close(self, reason: FinishReason = "interrupted") -> None:
        """Take no more runs; end those that are live, and wait until they have ended."""
        self._is_closing = True
        for run in tuple(self._live.values()):
            run.stop(reason)
        await self.drain()

    async def _start(self, request: RunRequest) -> Run:
        self._refuse_if_closing()
        await self._admission.enter(request.owner)
        try:
            self._refuse_if_closing()  # it may have begun while we waited
            run = Run(request, self._parts)
        except BaseException:
            self._admission.leave(request.owner)
            raise
        self._live[run.id] = run
        run.start(on_end=lambda: self._ended(run))
        return run

    async def _start_known_as(self, known_as: tuple[str | None, str], fingerprint: str, request: RunRequest) -> Run:
        """Others with the same key wait for this start instead of starting a second run."""
        starting: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._by_idempotency[known_as] = (fingerprint, starting)
        try:
            run = await self._start(request)
        except BaseException as exc:
            del self._by_idempotency[known_as]
            if isinstance(exc, Exception):
                starting.set_exception(exc)
                starting.exception()  # seen, also where nobody else waits for it
            else:
                starting.cancel()
            raise
        starting.set_result(run)
        return run

    def _refuse_if_closing(self) -> None:
        if self._is_closing:
            raise ShuttingDown("the server is shutting down; ask again in a moment")

    def _ended(self, run: Run) -> None:
        del self._live[run.id]
        self._admission.leave(run.owner)
        self._shelf.put(run)
        self._forget_dropped_keys()

    def _forget_dropped_keys(self) -> None:
        kept = {run.id for run in self._shelf} | self._live.keys()
        for known_as, (_, starting) in tuple(self._by_idempotency.items()):
            if starting.done() and not starting.cancelled() and starting.result().id not in kept:
                del self._by_idempotency[known_as]
