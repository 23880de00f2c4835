"""A histogram for what happens often: no lock, no labels, a bisection and two additions.

Used from the event loop only, which is also what renders it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Delays(Collector):
    """`buckets` are upper bounds, in seconds, rising; above the last one all is one."""

    def __init__(self, name: str, documentation: str, buckets: Sequence[float]) -> None:
        self._name: Final = name
        self._documentation: Final = documentation
        self._bounds: Final = tuple(buckets)
        self._counts: Final = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        counts = list(zip(names, map(float, accumulate(self._counts)), strict=True))
        yield HistogramMetricFamily(self._name, self._documentation, buckets=counts, sum_value=self._sum)

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(self._name, self._documentation)
