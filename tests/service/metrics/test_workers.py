"""`[server] workers`: any of them tells the metrics of all."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from aiostream_server.service.metrics.totals import decode, encode, total
from aiostream_server.service.workers.pages import WorkerPages
from tests.kit.process import ServerProcess, free_port, serving_process
from tests.kit.serving import ask
from tests.kit.waiting import wait_for
from tests.service.metrics.counting import Figures, read

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"
RUNS: Final = "aiostream_runs_total"


@asynccontextmanager
async def two_workers(folder: Path) -> AsyncIterator[tuple[ServerProcess, int]]:
    """With the port for this machine."""
    port = free_port()
    text = f"""
        [models.default]
        provider = "demo"
        [server]
        port = 0
        workers = 2
        log_format = "json"
        [metrics]
        loopback_port = {port}
    """
    async with serving_process(text, folder) as server:
        yield server, port


async def test_any_worker_tells_the_sums_and_each_workers_gauges_and_no_sum_falls(tmp_path: Path) -> None:
    """At the server's address, and at the port for this machine. Not when a worker is killed either."""
    async with two_workers(tmp_path) as (server, port):
        asked = 0
        while {line["worker"] for line in server.named("run_finished")} != {1, 2}:
            asked += 1
            await ask(server.url, "What is 2+2?", model="general")
            figures = await _until_counted(f"{server.url}/metrics", asked)  # a connection each: any worker
        pids = {line["worker"]: line["pid"] for line in server.named("worker_started")}
        for name in ("process_cpu_seconds_total", "aiostream_runs_live", "aiostream_event_loop_lag_max_seconds"):
            assert {each.labels["worker"] for each in figures.samples if each.name == name} == {"1", "2"}
        assert figures.value("aiostream_runs_limit") == 400
        assert figures.value("aiostream_build_info") == 1
        assert figures.value("aiostream_run_duration_seconds_count", team="general") == asked

        listening = server.named("metrics_listening")[0]["worker"]
        os.kill(pids[listening], signal.SIGKILL)
        await server.until_logged("worker_ended")
        figures = await _until_counted(f"http://127.0.0.1:{port}/metrics", asked)  # the other one listens now
        if sum(line["worker"] == listening for line in server.named("worker_started")) == 1:  # it is not replaced yet
            assert figures.value("aiostream_runs_live", worker=str(listening)) is None
        await server.until_logged("worker_ready", 3)
        await ask(server.url, "What is 2+2?", model="general")
        figures = await _until_counted(f"{server.url}/metrics", asked + 1)
        assert figures.value("process_start_time_seconds", worker=str(listening)) is not None
        status, content_type, text = await read(f"{server.url}/metrics", Accept=OPENMETRICS)
        assert status == 200
        assert content_type.startswith("application/openmetrics-text")
        assert [*text_string_to_metric_families(text)]  # type: ignore[no-untyped-call]


async def test_a_worker_that_does_not_answer_is_counted_with_what_it_wrote_last(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as (server, port):
        for _ in range(4):
            await ask(server.url, "What is 2+2?", model="general")
        await _until_counted(f"http://127.0.0.1:{port}/metrics", 4)
        listening = server.named("metrics_listening")[0]["worker"]
        stopped = next(line["pid"] for line in server.named("worker_started") if line["worker"] != listening)
        os.kill(stopped, signal.SIGSTOP)
        try:
            figures = Figures((await read(f"http://127.0.0.1:{port}/metrics"))[2])
        finally:
            os.kill(stopped, signal.SIGCONT)
    assert figures.value(RUNS, team="general", outcome="stop") == 4


def test_pages_are_added_up_as_prometheus_reads_them() -> None:
    pages = WorkerPages.create(3)
    pages.write(1, encode(_families(runs=3, live=1)))
    pages.write(3, encode(_families(runs=5, live=7)))
    told = {family.name: family for family in total(pages.read_all(), limits_are_shared=True)}
    assert [(each.labels, each.value) for each in told["aiostream_runs"].samples] == [({"team": "a"}, 8.0)]
    assert [each.value for each in told["aiostream_run_duration_seconds"].samples] == [2.0, 8.0, 8.0, 16.0]
    assert [(each.labels, each.value) for each in told["aiostream_runs_live"].samples] == [
        ({"worker": "1"}, 1.0),
        ({"worker": "3"}, 7.0),
    ]
    assert [each.value for each in told["aiostream_runs_limit"].samples] == [200.0]
    pages.mark_ended(3)
    told = {family.name: family for family in total(pages.read_all(), limits_are_shared=False)}
    assert [each.value for each in told["aiostream_runs"].samples] == [8.0]
    assert [each.value for each in told["aiostream_runs_live"].samples] == [1.0]
    os.close(pages.descriptor)


def test_a_page_that_is_half_written_is_not_read() -> None:
    """As a worker leaves it that is killed meanwhile: the one before is valid."""
    pages = WorkerPages.create(1)
    assert pages.read(1) is None
    pages.write(1, b"first")
    os.pwrite(pages.descriptor, b"sec", pages._place(1, 2))
    read_again = WorkerPages(pages.descriptor)
    page = read_again.read(1)
    assert page is not None
    assert (page.version, page.content) == (1, b"first")
    pages.write(1, b"second")
    assert read_again.versions() == {1: 2}
    os.pwrite(pages.descriptor, b"X", pages._place(1, 2))
    assert read_again.read(1) is None
    os.close(pages.descriptor)


def test_families_survive_a_page() -> None:
    (runs, *_), (read_runs, *_) = _families(3, 1), decode(encode(_families(3, 1)))
    assert (runs.name, runs.type, runs.documentation) == (read_runs.name, read_runs.type, read_runs.documentation)


def _families(runs: int, live: int) -> list[Metric]:
    ended = CounterMetricFamily("aiostream_runs", "Runs.", labels=("team",))
    ended.add_metric(("a",), runs)
    buckets = [("1.0", 1.0), ("+Inf", float(runs))]
    return [
        ended,
        HistogramMetricFamily("aiostream_run_duration_seconds", "Of runs.", buckets=buckets, sum_value=2.0 * runs),
        GaugeMetricFamily("aiostream_runs_live", "Live runs.", value=live),
        GaugeMetricFamily("aiostream_runs_limit", "At once.", value=200),
    ]


async def _until_counted(url: str, runs: int) -> Figures:
    """Once so many runs are counted, and a worker listens."""

    async def figures() -> Figures | None:
        try:
            status, _, text = await read(url)
        except aiohttp.ClientConnectionError:
            return None
        assert status == 200
        figures = Figures(text)
        counted = figures.value(RUNS, team="general", outcome="stop") or 0
        assert counted <= runs
        return figures if counted == runs else None

    return await wait_for(figures, f"{runs} runs at {url}")
