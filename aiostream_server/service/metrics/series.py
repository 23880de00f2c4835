"""Counters and histograms for the event loop's thread: no lock, and one call where Prometheus' own take four to six.

A run counts fourteen things, and each sixteenth write to a viewer one more. They render what Prometheus' own render.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Count:
    """One series of a counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        self.value += amount


class Counts(Collector):
    """A counter. `labels` are the names of its labels; without any, its one series is there from the start."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self._name: Final = name
        self._documentation: Final = documentation
        self._labels: Final = tuple(labels)
        self._series: Final[dict[tuple[str, ...], Count]] = {}
        self.of: Final = cache(self._new)
        """The series with these values of the labels, which is made when it is asked for first."""
        if not labels:
            self.of()

    def _new(self, *values: str) -> Count:
        _check(values, self._labels)
        return self._series.setdefault(values, Count())

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._documentation, labels=self._labels)


class Spread:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total_s += seconds


class Durations(Collector):
    """A histogram of seconds. `bounds` are rising upper ones; one more bucket counts what is longer."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self._name: Final = name
        self._documentation: Final = documentation
        self._bounds: Final = tuple(bounds)
        self._labels: Final = tuple(labels)
        self._series: Final[dict[tuple[str, ...], Spread]] = {}
        self.of: Final = cache(self._new)
        """As of `Counts`."""
        if not labels:
            self.of()

    def _new(self, *values: str) -> Spread:
        _check(values, self._labels)
        return self._series.setdefault(values, Spread(self._bounds))

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for values, series in self._series.items():
            buckets = list(zip(names, map(float, accumulate(series.counts)), strict=True))
            family.add_metric(values, buckets, series.total_s)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(self._name, self._documentation, labels=self._labels)


def _check(values: Sequence[str], labels: Sequence[str]) -> None:
    if len(values) != len(labels):
        raise ValueError(f"{len(values)} values for the labels {', '.join(labels)}")
