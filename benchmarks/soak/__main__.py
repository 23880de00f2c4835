"""`scripts/soak`: measure everything, print it next to its targets, end with status 1 where one was missed."""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import click
import uvloop
from rich.console import Console

from benchmarks.bench.results import machine_in_words
from benchmarks.figures import Figure, print_table
from benchmarks.processes import ROOT, raise_file_limit
from benchmarks.soak import leaks, promises, pulled_cable, slow_clients, stopping, streams
from benchmarks.soak.report import SERVER, Row, row_of, with_section

_T = TypeVar("_T")
Measurement = Callable[[Path], Awaitable[list[Figure]]]

_TESTS: Final = "promises"
_REPORT: Final = ROOT / "build" / "reliability.md"

_FULL: Mapping[str, Measurement] = {
    "streams": partial(streams.measure, streams=2_000),
    "stopping": partial(stopping.measure, streams=500),
    "leaks": partial(leaks.measure, runs=10_000, warm_up=20_000, looks=10),
    "never-reading": partial(slow_clients.measure, seconds=30.0, write_timeout_s=10.0),
}
_QUICK: Mapping[str, Measurement] = {
    "streams": partial(streams.measure, streams=200),
    "stopping": partial(stopping.measure, streams=100),
    "leaks": partial(leaks.measure, runs=600, warm_up=600, looks=2),
    "never-reading": partial(slow_clients.measure, seconds=5.0, write_timeout_s=2.0),
}


@click.command()
@click.option("--quick", is_flag=True, help="Under a minute; smaller in everything.")
@click.option("--only", type=click.Choice([*_FULL, _TESTS]), multiple=True, help="These parts; else all.")
@click.option("--docs", "writes_docs", is_flag=True, help="Write the table into docs/reliability.md.")
@click.option("--vanish", "with_vanish", is_flag=True, help="Also pull a client's cable; needs root and iproute2.")
def main(quick: bool, only: tuple[str, ...], writes_docs: bool, with_vanish: bool) -> None:
    """Measure the server from outside, on this machine, and compare it with its targets."""
    raise_file_limit()
    machine = machine_in_words()
    console = Console(width=None if sys.stdout.isatty() else 120)
    chosen = dict(_QUICK if quick else _FULL)
    if only:
        chosen = {name: chosen[name] for name in only if name != _TESTS}
    if with_vanish:
        chosen["vanish"] = pulled_cable.measure
    rows: list[Row] = []
    for name, measurement in chosen.items():
        figures = uvloop.run(_measure(measurement))
        print_table(f"{name} (load {os.getloadavg()[0]:.1f})", figures, console)
        rows.append(row_of(name, figures))
    if _TESTS in only or not (only or quick):
        shown = uvloop.run(_measure(promises.measure))
        figures = [Figure(f"{row.promise[:70]} {row.test}", row.figure, "pass", row.is_kept) for row in shown]
        print_table(f"{_TESTS} (load {os.getloadavg()[0]:.1f})", figures, console)
        rows += shown
    _write(SERVER.section(rows, machine), in_docs=writes_docs)
    missed = sum(not row.is_kept for row in rows)
    console.print("all promises are kept" if not missed else f"{missed} of {len(rows)} missed")
    sys.exit(1 if missed else 0)


def _write(table: str, *, in_docs: bool) -> None:
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(table, "utf-8")
    if in_docs:
        promises.RELIABILITY.write_text(with_section(promises.RELIABILITY.read_text("utf-8"), SERVER, table), "utf-8")


async def _measure(measurement: Callable[[Path], Awaitable[list[_T]]]) -> list[_T]:
    with tempfile.TemporaryDirectory() as folder:
        return await measurement(Path(folder))


if __name__ == "__main__":
    main()
