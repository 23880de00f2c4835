"""Keeps the event loop responsive: measures its lag, warns, and moves garbage collections away from streams.

The loop's lag is measured five times a second, at no measurable cost.

A full garbage collection visits every object. With 2,000 live AutoGen teams it stopped all streams for 670 ms, and
Python's own thresholds start it in the middle of streams. Teams on our runtime leave no garbage; other code does. So
full collections are made while no run is live, or once the process has grown by 256 MiB.
"""

import asyncio
import gc
import os
import time
from collections import deque
from pathlib import Path
from typing import Final

import structlog

from aiostream_server.runs.registry import Registry

_LAG_INTERVAL_S: Final = 0.2
_LAG_SAMPLES: Final = round(60 / _LAG_INTERVAL_S)
_LAG_TOO_HIGH_S: Final = 0.1
_QUEUE_TOO_LONG: Final = 0.5  # of its size
_CALM_S: Final = 5.0
# Measured: 0.5 ms for generation 0, 2 ms for generation 1; with (20_000, 20, 1_000) generation 1 took 100 ms.
_GC_THRESHOLDS: Final = (5_000, 4, 10_000)
_GC_INTERVAL_S: Final = 5.0
_MAX_GROWTH_BYTES: Final = 256 * 1024**2
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_STATM: Final = Path("/proc/self/statm")

_log = structlog.get_logger()


class LagMeter:
    """How late the event loop runs timers, in seconds."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque([0.0], maxlen=_LAG_SAMPLES)

    @property
    def last_s(self) -> float:
        return self._samples[-1]

    @property
    def max_s(self) -> float:
        """The longest lag of the last minute."""
        return max(self._samples)

    async def measure(self) -> float:
        """Take one sample, which needs a fifth of a second."""
        due_at = time.monotonic() + _LAG_INTERVAL_S
        await asyncio.sleep(_LAG_INTERVAL_S)
        self._samples.append(max(0.0, time.monotonic() - due_at))
        return self.last_s


class Alarm:
    """Rings once when a reading exceeds `high`, and again only after readings below half of it for `calm_s`."""

    def __init__(self, high: float, *, calm_s: float = _CALM_S) -> None:
        self._high: Final = high
        self._calm_s: Final = calm_s
        self._calm_since: float | None = None
        self._has_rung = False

    def rings(self, reading: float, now: float) -> bool:
        """`now` is in seconds of any clock."""
        if reading >= self._high / 2:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._calm_s:
            self._has_rung = False
        if reading <= self._high or self._has_rung:
            return False
        self._has_rung = True
        return True


async def watch_load(lag: LagMeter, registry: Registry) -> None:
    """Measure, and warn of a slow event loop and a long queue, until cancelled."""
    slow, crowded = Alarm(_LAG_TOO_HIGH_S), Alarm(_QUEUE_TOO_LONG)
    while True:
        lag_s, now = await lag.measure(), time.monotonic()
        if slow.rings(lag_s, now):
            _log.warning("event_loop_lags", lag_s=round(lag_s, 3), live_runs=len(registry), viewers=registry.viewers)
        queue_size = registry.limits.queue_size  # a reload may change it
        if queue_size and crowded.rings(registry.queued / queue_size, now):
            _log.warning("queue_fills", queued=registry.queued, queue_size=queue_size, live_runs=len(registry))


async def collect_garbage(registry: Registry) -> None:
    """Replace Python's own timing of full collections until cancelled. To be started when everything is loaded."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()  # modules, clients and routes stay: no collection needs to visit them
    gc.set_threshold(*_GC_THRESHOLDS)
    ended, memory = registry.ended, memory_bytes()
    try:
        while True:
            await asyncio.sleep(_GC_INTERVAL_S)
            if is_collection_due(registry.ended - ended, memory_bytes() - memory, live=len(registry)):
                gc.collect()
                ended, memory = registry.ended, memory_bytes()
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def is_collection_due(ended_runs: int, grown_bytes: int, *, live: int) -> bool:
    """Both count from the last collection."""
    return ended_runs > 0 and (live == 0 or grown_bytes >= _MAX_GROWTH_BYTES)


def memory_bytes() -> int:
    """The resident memory of the process."""
    return int(_STATM.read_text("ascii").split()[1]) * _PAGE_BYTES
