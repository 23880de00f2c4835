"""The metrics of several workers as those of one server: counters and histograms are sums, gauges are told apart.

A worker's page has its families as JSON. What a worker that has ended has counted is taken over by the next one of its
number, and stays in the sums meanwhile: no sum falls while the server runs.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from prometheus_client.core import Metric

from aiostream_server.service.workers.pages import WorkerPage

_SUMMED: Final = frozenset({"counter", "histogram"})
_OF_THE_PROCESS: Final = "process_"
_SAME_IN_ALL: Final = frozenset({"aiostream_build_info"})
_LIMITS: Final = frozenset({"aiostream_runs_limit", "aiostream_runs_queue_limit"})

_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


def encode(families: Iterable[Metric]) -> bytes:
    """A page's content."""
    told = [
        (each.name, each.documentation, each.type, [sample[:3] for sample in each.samples])  # no timestamps
        for each in families
    ]
    return json.dumps(told, separators=(",", ":")).encode()


def decode(content: bytes) -> Iterator[Metric]:
    for name, documentation, kind, samples in json.loads(content):
        family = Metric(name, documentation, kind)
        for sample, labels, value in samples:
            family.add_sample(sample, labels, value)
        yield family


def is_summed(family: Metric) -> bool:
    """Whether the values of all workers, and of those before them, are added up."""
    return family.type in _SUMMED and not family.name.startswith(_OF_THE_PROCESS)


def added(families: Iterable[Metric]) -> list[Metric]:
    """One family of each name, with the sums of the series that have the same labels."""
    sums: dict[str, dict[_Key, float]] = {}
    first: dict[str, Metric] = {}
    for family in families:
        first.setdefault(family.name, family)
        values = sums.setdefault(family.name, {})
        for sample in family.samples:
            key = sample.name, tuple(sample.labels.items())
            values[key] = values.get(key, 0.0) + sample.value
    return [_with_values(family, sums[name]) for name, family in first.items()]


def _with_values(family: Metric, values: Mapping[_Key, float]) -> Metric:
    whole = Metric(family.name, family.documentation, family.type)
    for (name, labels), value in values.items():
        whole.add_sample(name, dict(labels), value)
    return whole


def total(pages: Iterable[tuple[int, WorkerPage]], *, limits_are_shared: bool) -> list[Metric]:
    """The families of all workers. With `limits_are_shared` each worker tells the limits of all of them."""
    told: dict[str, list[Metric]] = {}
    for worker, page in pages:
        for family in decode(page.content):
            if is_summed(family):
                told.setdefault(family.name, []).append(family)
            elif page.is_live:
                is_one = family.name in _SAME_IN_ALL or (limits_are_shared and family.name in _LIMITS)
                if is_one:
                    told[family.name] = [family]
                else:
                    told.setdefault(family.name, []).append(_labelled(family, worker))
    return [family for of_name in told.values() for family in added(of_name)]


def _labelled(family: Metric, worker: int) -> Metric:
    if family.name in _LIMITS:  # each worker has its own, and the server their sum
        return family
    labelled = Metric(family.name, family.documentation, family.type)
    for sample in family.samples:
        labelled.add_sample(sample.name, {**sample.labels, "worker": str(worker)}, sample.value)
    return labelled
