"""The histogram that is counted per token says what Prometheus' own would."""

import time

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from aiostream_server.service.metrics.families import DelayHistogram

BOUNDS = (0.001, 0.01, 0.1, 1.0)
AT_BOUNDS = st.sampled_from((0.0, *BOUNDS))


@given(st.lists(st.floats(min_value=0, max_value=100) | AT_BOUNDS))
def test_it_says_what_prometheus_own_histogram_says(seconds: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    delays = DelayHistogram("delay_seconds", "How long.", BOUNDS)
    ours.register(delays)
    histogram = Histogram("delay_seconds", "How long.", buckets=BOUNDS, registry=theirs)
    for each in seconds:
        delays.add(each)
        histogram.observe(each)
    assert _lines(ours) == _lines(theirs)


def test_adding_costs_less_than_half_a_microsecond() -> None:
    """The fastest of many: a machine with other work is as slow as it is."""
    delays = DelayHistogram("delay_seconds", "How long.", BOUNDS)
    best = min(_time(delays) for _ in range(50))
    assert best < 0.5e-6 * 1_000


def _time(delays: DelayHistogram) -> float:
    began_at = time.perf_counter()
    for _ in range(1_000):
        delays.add(0.0004)
    return time.perf_counter() - began_at


def _lines(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
