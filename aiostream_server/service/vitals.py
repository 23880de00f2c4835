"""How the process feels: the lag of its event loop, the length of its queue; told in the log when they are too high.

The loop is asked five times a second how late it is, which costs nothing that can be measured beside one request.
"""

import asyncio
import time
from collections import deque
from typing import Final

import structlog

from aiostream_server.runs.registry import Registry

_INTERVAL_S: Final = 0.2
_KEPT: Final = round(60 / _INTERVAL_S)
_LAG_TOO_HIGH_S: Final = 0.1
_QUEUE_TOO_LONG: Final = 0.5  # of its size
_CALM_S: Final = 5.0

_log = structlog.get_logger()


class LagMeter:
    """How late the event loop comes to what is due, in seconds."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque([0.0], maxlen=_KEPT)

    @property
    def last_s(self) -> float:
        return self._samples[-1]

    @property
    def max_s(self) -> float:
        """Of the last minute."""
        return max(self._samples)

    async def measure(self) -> float:
        """One sample; takes a fifth of a second."""
        due_at = time.monotonic() + _INTERVAL_S
        await asyncio.sleep(_INTERVAL_S)
        self._samples.append(max(0.0, time.monotonic() - due_at))
        return self.last_s


class Alarm:
    """Rings once when a reading passes `high`, and again only after it was under half of that for `calm_s`."""

    def __init__(self, high: float, *, calm_s: float = _CALM_S) -> None:
        self._high: Final = high
        self._calm_s: Final = calm_s
        self._calm_since: float | None = None
        self._has_rung = False

    def rings(self, reading: float, now: float) -> bool:
        """`now` is in seconds, from any start."""
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


async def watch_vitals(lag: LagMeter, registry: Registry) -> None:
    """Measure and warn, until it is cancelled."""
    slow, crowded = Alarm(_LAG_TOO_HIGH_S), Alarm(_QUEUE_TOO_LONG)
    while True:
        lag_s, now = await lag.measure(), time.monotonic()
        if slow.rings(lag_s, now):
            _log.warning("event_loop_lags", lag_s=round(lag_s, 3), live_runs=len(registry), viewers=registry.viewers)
        queue_size = registry.limits.queue_size  # which a reload may change
        if queue_size and crowded.rings(registry.queued / queue_size, now):
            _log.warning("queue_fills", queued=registry.queued, queue_size=queue_size, live_runs=len(registry))
