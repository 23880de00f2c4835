"""Counters and histograms say what Prometheus' own would, for less."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from aiostream_server.service.metrics.unlocked import CounterFamily, HistogramFamily

BOUNDS = (0.001, 0.01, 0.1, 1.0)
AT_BOUNDS = st.sampled_from((0.0, *BOUNDS))
SECONDS = st.floats(min_value=0, max_value=100) | AT_BOUNDS
LABELS = ("team", "outcome")
NAMES = st.sampled_from(("general", 'a "name"', "two\nlines", ""))


@given(st.lists(SECONDS))
def test_a_histogram_without_labels_renders_what_prometheus_own_renders(seconds: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    delays = HistogramFamily("delay_seconds", "How long.", BOUNDS)
    ours.register(delays)
    histogram = Histogram("delay_seconds", "How long.", buckets=BOUNDS, registry=theirs)
    for each in seconds:
        delays.of().add(each)
        histogram.observe(each)
    assert _lines(ours) == _lines(theirs)


@given(st.lists(st.tuples(NAMES, NAMES, SECONDS)))
def test_a_histogram_with_labels_renders_what_prometheus_own_renders(said: list[tuple[str, str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    delays = HistogramFamily("delay_seconds", "How long.", BOUNDS, LABELS)
    ours.register(delays)
    histogram = Histogram("delay_seconds", "How long.", LABELS, buckets=BOUNDS, registry=theirs)
    for *labels, each in said:
        delays.of(*labels).add(each)
        histogram.labels(*labels).observe(each)
    assert _lines(ours) == _lines(theirs)


@given(st.lists(st.tuples(NAMES, NAMES, st.integers(0, 10**6))))
def test_a_counter_renders_what_prometheus_own_renders(said: list[tuple[str, str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    runs, ended = CounterFamily("runs_total", "How many.", LABELS), CounterFamily("ended_total", "How many ended.")
    ours.register(runs)
    ours.register(ended)
    labelled = Counter("runs_total", "How many.", LABELS, registry=theirs)
    plain = Counter("ended_total", "How many ended.", registry=theirs)
    for *labels, each in said:
        runs.of(*labels).add(each)
        ended.of().add()
        labelled.labels(*labels).inc(each)
        plain.inc()
    assert _lines(ours) == _lines(theirs)


@pytest.mark.parametrize(
    "family", [CounterFamily("a_total", "A.", LABELS), HistogramFamily("a_seconds", "A.", BOUNDS, LABELS)]
)
def test_a_value_that_is_missing_is_refused(family: CounterFamily | HistogramFamily) -> None:
    with pytest.raises(ValueError, match="1 values for the labels team, outcome"):
        family.of("general")


def test_adding_costs_less_than_half_of_prometheus_own() -> None:
    """Measured: a quarter. The fastest of many attempts, since the machine may have other work."""
    delays = HistogramFamily("delay_seconds", "How long.", BOUNDS)
    histogram = Histogram("delay_seconds", "How long.", buckets=BOUNDS, registry=None)
    assert _fastest(delays.of().add) < _fastest(histogram.observe) / 2
    runs, labelled = (
        CounterFamily("runs_total", "How many.", LABELS),
        Counter("runs", "How many.", LABELS, registry=None),
    )
    child = labelled.labels("general", "stop")
    assert _fastest(lambda _: runs.of("general", "stop").add()) < _fastest(lambda _: child.inc())


def _fastest(add: Callable[[float], object]) -> float:
    return min(_time(add) for _ in range(50))


def _time(add: Callable[[float], object]) -> float:
    began_at = time.perf_counter()
    for _ in range(1_000):
        add(0.0004)
    return time.perf_counter() - began_at


def _lines(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
