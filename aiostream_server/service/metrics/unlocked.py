"""Counters and histograms for the event loop's thread: no lock, and one call where Prometheus' own take four to six.

A run counts fourteen things, and each sixteenth write to a viewer one more. They render what Prometheus' own render.
"""

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Final, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class CounterSeries:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        self.value += amount


class HistogramSeries:
    """`bounds` are rising upper ones; the last of the `counts` is of what is longer."""

    __slots__ = ("_bounds", "counts", "total_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total_s += seconds


_Series = TypeVar("_Series", CounterSeries, HistogramSeries)


class _MetricFamily(Collector, Generic[_Series]):
    """`labels` are their names; without any, the one series is there from the start."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self.name: Final = name
        self._documentation: Final = documentation
        self._labels: Final = tuple(labels)
        self._series: Final[dict[tuple[str, ...], _Series]] = {}
        self.of: Final[Callable[..., _Series]] = cache(self._make)
        """The series with these values of the labels, which is made when it is asked for first."""
        if not labels:
            self.of()

    def _make(self, *values: str) -> _Series:
        if len(values) != len(self._labels):
            raise ValueError(f"{len(values)} values for the labels {', '.join(self._labels)}")
        return self._series.setdefault(values, self._empty())

    @abstractmethod
    def _empty(self) -> _Series: ...


class CounterFamily(_MetricFamily[CounterSeries]):
    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, documentation, labels)

    def _empty(self) -> CounterSeries:
        return CounterSeries()

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self.name, self._documentation, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self.name, self._documentation, labels=self._labels)
        for values, series in self._series.items():
            family.add_metric(values, series.value)
        yield family


class HistogramFamily(_MetricFamily[HistogramSeries]):
    """Of seconds."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self._bounds: Final = tuple(bounds)
        super().__init__(name, documentation, labels)

    def _empty(self) -> HistogramSeries:
        return HistogramSeries(self._bounds)

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(self.name, self._documentation, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self.name, self._documentation, labels=self._labels)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for values, series in self._series.items():
            buckets = list(zip(names, map(float, accumulate(series.counts)), strict=True))
            family.add_metric(values, buckets, series.total_s)
        yield family
