"""The histogram that is counted per token says what Prometheus' own would."""

import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from aiostream_server.service.metrics.families import DelayHistogram

BOUNDS = (0.001, 0.01, 0.1, 1.0)
AT_BOUNDS = st.sampled_from((0.0, *BOUNDS))


@given(st.lists(st.floats(min_value=0, max_value=100) | AT_BOUNDS))
def test_it_renders_what_prometheus_own_histogram_renders(seconds: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    delays = DelayHistogram("delay_seconds", "How long.", BOUNDS)
    ours.register(delays)
    histogram = Histogram("delay_seconds", "How long.", buckets=BOUNDS, registry=theirs)
    for each in seconds:
        delays.add(each)
        histogram.observe(each)
    assert _lines(ours) == _lines(theirs)


def test_adding_costs_less_than_half_of_prometheus_own() -> None:
    """Measured: a quarter of a microsecond. The fastest of many attempts, since the machine may have other work."""
    delays = DelayHistogram("delay_seconds", "How long.", BOUNDS)
    histogram = Histogram("delay_seconds", "How long.", buckets=BOUNDS, registry=None)
    ours, theirs = (min(_time(add) for _ in range(50)) for add in (delays.add, histogram.observe))
    assert ours < theirs / 2


def _time(add: Callable[[float], object]) -> float:
    began_at = time.perf_counter()
    for _ in range(1_000):
        add(0.0004)
    return time.perf_counter() - began_at


def _lines(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
