"""The `process_*` metrics that all Prometheus clients have, read from /proc/self alone.

`prometheus_client` reads the time of the boot from /proc/stat, and has none of them where that is hidden, as it is by
the unit's `ProcSubset=pid`: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics, proc(5).
"""

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_PROCESS: Final = Path("/proc/self")
_UTIME, _STIME, _STARTED, _VSIZE, _RSS = 11, 12, 19, 20, 21  # of /proc/self/stat, from the field behind the name on


class ProcessMetrics(Collector):
    def __init__(self) -> None:
        self._ticks_s: Final = 1 / os.sysconf("SC_CLK_TCK")
        self._booted_at: Final = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def collect(self) -> Iterator[Metric]:
        stat = (_PROCESS / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        open_fds = sum(1 for _ in (_PROCESS / "fd").iterdir()) - 1  # without that of the listing itself
        cpu_s = (int(stat[_UTIME]) + int(stat[_STIME])) * self._ticks_s
        yield CounterMetricFamily("process_cpu_seconds", "Time of CPU, of the user and of the system.", value=cpu_s)
        started_at = self._booted_at + int(stat[_STARTED]) * self._ticks_s
        yield _gauge("start_time_seconds", "When the process started, in Unix time.", started_at)
        rss_bytes = int(stat[_RSS]) * resource.getpagesize()
        yield _gauge("resident_memory_bytes", "Memory that is resident.", rss_bytes)
        yield _gauge("virtual_memory_bytes", "Memory that is mapped.", int(stat[_VSIZE]))
        yield _gauge("open_fds", "Files and connections that are open.", open_fds)
        yield _gauge("max_fds", "How many may be.", resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"process_{name}", documentation, value=value)
