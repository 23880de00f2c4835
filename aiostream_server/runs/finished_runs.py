"""Finished runs, kept readable for a while: bounded in time and in memory, the oldest dropped first.

A run that was dropped is remembered by its id, so that whoever asks for it is told that it was there.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from aiostream_server.config.model import LimitsConfig
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.run import Run

_RUN_OVERHEAD_BYTES: Final = 2_500  # measured: a run that ended, without its log's events
_REMEMBERED: Final = 10_000  # ids of dropped runs


class _Kept(NamedTuple):
    run: Run
    ended_at: float
    size_bytes: int


class FinishedRuns:
    """In the order in which the runs ended. `on_drop` is told the id of each run that is kept no longer."""

    def __init__(self, limits: LimitsConfig, *, on_drop: Callable[[str], object]) -> None:
        self._limits = limits
        self._on_drop: Final = on_drop
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._dropped: OrderedDict[str, Owner] = OrderedDict()
        self._bytes = 0

    def __iter__(self) -> Iterator[Run]:
        """From the one that ended first."""
        self.drop_old()
        return iter([kept.run for kept in self._kept.values()])

    def limit(self, limits: LimitsConfig) -> None:
        """From now on, for what is kept already, too."""
        self._limits = limits
        self.drop_old()

    def put(self, run: Run) -> None:
        """Keep a run that has ended."""
        kept = _Kept(run, time.monotonic(), _RUN_OVERHEAD_BYTES + run.log.size_bytes)
        self._kept[run.id] = kept
        self._bytes += kept.size_bytes
        self.drop_old()

    def get(self, run_id: str) -> Run | None:
        self.drop_old()
        kept = self._kept.get(run_id)
        return kept.run if kept is not None else None

    def was_dropped(self, run_id: str, owner: Owner) -> bool:
        """Whether that owner's run was here once."""
        return run_id in self._dropped and self._dropped[run_id] == owner

    def drop_old(self) -> None:
        """Let go of what was kept for long enough, and of what there is no room for."""
        now = time.monotonic()
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if now - oldest.ended_at < self._limits.retention_s and self._bytes <= self._limits.retained_bytes:
                break
            self._drop(oldest)

    def _drop(self, kept: _Kept) -> None:
        del self._kept[kept.run.id]
        self._bytes -= kept.size_bytes
        self._dropped[kept.run.id] = kept.run.owner
        if len(self._dropped) > _REMEMBERED:
            self._dropped.popitem(last=False)
        self._on_drop(kept.run.id)
