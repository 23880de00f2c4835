"""Finished runs, kept readable for a while: bounded in time and in memory, the oldest dropped first.

A run that was dropped is remembered by its id, so that whoever asks for it is told that it was there.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from aiostream_server.config.model import LimitsConfig
from aiostream_server.runs.run import Run

_REMEMBERED: Final = 10_000  # ids of dropped runs


class Shelf:
    """In the order in which the runs ended."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._retention_s: Final = limits.retention_s
        self._max_bytes: Final = limits.retained_bytes
        self._runs: OrderedDict[str, tuple[Run, float]] = OrderedDict()
        self._dropped: OrderedDict[str, str | None] = OrderedDict()
        self._bytes = 0

    def __iter__(self) -> Iterator[Run]:
        self._drop_old()
        return iter([run for run, _ in self._runs.values()])

    def put(self, run: Run) -> None:
        """Keep a run that has ended."""
        self._runs[run.id] = (run, time.monotonic())
        self._bytes += run.log.size_bytes
        self._drop_old()

    def get(self, run_id: str) -> Run | None:
        self._drop_old()
        kept = self._runs.get(run_id)
        return kept[0] if kept is not None else None

    def was_dropped(self, run_id: str, owner: str | None) -> bool:
        """Whether that owner's run was here once."""
        return run_id in self._dropped and self._dropped[run_id] == owner

    def _drop_old(self) -> None:
        oldest_kept = time.monotonic() - self._retention_s
        while self._runs:
            run, ended_at = next(iter(self._runs.values()))
            if ended_at >= oldest_kept and self._bytes <= self._max_bytes:
                break
            del self._runs[run.id]
            self._bytes -= run.log.size_bytes
            self._dropped[run.id] = run.owner
            if len(self._dropped) > _REMEMBERED:
                self._dropped.popitem(last=False)
