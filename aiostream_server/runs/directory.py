"""Where runs are found: live ones, and finished ones for a while.

A run belongs to the owner that started it, an API key or one of its users; for any other owner it does not exist.
"""

import heapq
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import NotFound, RunGone
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.card import RunView
from aiostream_server.runs.run import Run

_RUN_OVERHEAD_BYTES: Final = 2_500  # measured: a finished run without its log's events
_REMEMBERED: Final = 10_000  # ids of dropped runs


class Directory(Protocol):
    """The runs of every process that shares it. This process puts its own runs in."""

    def limit(self, limits: LimitsConfig) -> None:
        """Apply other limits of retention, to finished runs as well."""

    async def put(self, run: Run) -> None:
        """Add a run of this process that is about to start. When this returns, every process finds it."""

    def finish(self, run: Run) -> None:
        """The run has ended: keep it for `retention_s`, and within `retained_bytes`."""

    def drop(self) -> None:
        """Drop finished runs that are past their retention."""

    async def find(self, run_id: str, owner: Owner | None) -> RunView:
        """Raises `NotFound` for a run that is not this owner's, `RunGone` for one that was dropped. Without an owner it
        finds anyone's."""

    async def list(self, owner: Owner, limit: int) -> Sequence[RunView]:
        """The owner's latest runs, newest first."""

    async def delete(self, run_id: str, owner: Owner) -> None:
        """Drop a finished run of this owner before its time, as if it had never been. Raises what `find` raises."""

    async def latest(self, owner: Owner, conversation: str) -> RunView | None:
        """The run that was put in last of those in this conversation of the owner's; None once it was dropped."""


class MemoryDirectory:
    """The `Directory` of one process. Calls `on_drop` with the id of each run that it drops.

    It remembers the ids of dropped runs, to tell their owners that the events are gone.
    """

    def __init__(self, limits: LimitsConfig, *, on_drop: Callable[[str], object]) -> None:
        self._limits = limits
        self._on_drop: Final = on_drop
        self._runs: dict[str, Run] = {}
        self._latest: dict[tuple[Owner, str], Run] = {}
        self._finished: deque[tuple[Run, float, int]] = deque()  # with the time and the size; first ended comes first
        self._finished_bytes = 0
        self._dropped: OrderedDict[str, Owner] = OrderedDict()

    def limit(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self.drop()

    async def put(self, run: Run) -> None:
        self._runs[run.id] = run
        if (talk := run.request.conversation) is not None:
            self._latest[run.owner, talk.name] = run

    def finish(self, run: Run) -> None:
        size = _RUN_OVERHEAD_BYTES + run.log.size_bytes + len(run.request.kept)
        self._finished.append((run, time.monotonic(), size))
        self._finished_bytes += size
        self.drop()

    def drop(self) -> None:
        now, limits = time.monotonic(), self._limits
        while self._finished:
            run, ended_at, size = self._finished[0]
            if now - ended_at < limits.retention_s and self._finished_bytes <= limits.retained_bytes:
                break
            self._finished.popleft()
            self._finished_bytes -= size
            self._remove(run)
            self._dropped[run.id] = run.owner
            if len(self._dropped) > _REMEMBERED:
                self._dropped.popitem(last=False)
            self._on_drop(run.id)

    def has(self, run_id: str) -> bool:
        return run_id in self._runs

    def disown(self, run_id: str) -> None:
        """Forget a run, also one that has ended here meanwhile, without calling `on_drop`."""
        if not self._forget_finished(run_id) and (run := self._runs.get(run_id)) is not None:
            self._remove(run)

    async def find(self, run_id: str, owner: Owner | None) -> RunView:
        self.drop()
        run = self._runs.get(run_id)
        if run is not None and owner in (None, run.owner):
            return run
        if run_id in self._dropped and owner in (None, self._dropped[run_id]):
            raise RunGone(f"the run {run_id} has ended, and its events are kept no longer")
        raise NotFound(f"there is no run {run_id[:80]!r}")

    async def delete(self, run_id: str, owner: Owner) -> None:
        await self.find(run_id, owner)
        self.forget(run_id)

    def forget(self, run_id: str) -> bool:
        """Drop a finished run before its time. False where there is none."""
        if not self._forget_finished(run_id):
            return False
        self._on_drop(run_id)
        return True

    def _forget_finished(self, run_id: str) -> bool:
        for place, (run, _, size) in enumerate(self._finished):
            if run.id == run_id:
                del self._finished[place]
                self._finished_bytes -= size
                self._remove(run)
                return True
        return False

    async def list(self, owner: Owner, limit: int) -> Sequence[RunView]:
        self.drop()
        own = (run for run in self._runs.values() if run.owner == owner)
        return heapq.nlargest(limit, own, key=lambda run: run.created_at)

    async def latest(self, owner: Owner, conversation: str) -> RunView | None:
        self.drop()
        return self._latest.get((owner, conversation))

    def _remove(self, run: Run) -> None:
        del self._runs[run.id]
        if (talk := run.request.conversation) is not None and self._latest.get((run.owner, talk.name)) is run:
            del self._latest[run.owner, talk.name]
