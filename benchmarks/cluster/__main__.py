"""`scripts/soak cluster`: measure everything, print it next to its targets, end with status 1 where one was missed."""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click
import uvloop
from rich.console import Console

from benchmarks.bench.results import machine_in_words
from benchmarks.cluster import cuts, death, elsewhere, outage, pause, quota, round_robin, upgrade
from benchmarks.figures import Figure, print_table
from benchmarks.processes import ROOT, raise_file_limit
from benchmarks.soak.report import CLUSTER, Row, row_of, with_section

Measurement = Callable[[Path], Awaitable[list[Figure]]]

_PAGE: Final = ROOT / "docs" / "cluster.md"
_REPORT: Final = ROOT / "build" / "cluster.md"

_FULL: Mapping[str, Measurement] = {
    "death": partial(death.measure, runs=200, rounds=10),
    "pause": partial(pause.measure, runs=100),
    "cuts": partial(cuts.measure, runs=50),
    "outage": partial(outage.measure, seconds=30.0, runs=50),
    "upgrade": partial(upgrade.measure, clients=40, rolls=3),
    "round-robin": partial(round_robin.measure, times=100),
    "quota": partial(quota.measure, nodes=3, limit=50, questions=500),
    "elsewhere": partial(elsewhere.measure, streams=50, tokens=200, cancels=200),
}
_QUICK: Mapping[str, Measurement] = {
    "death": partial(death.measure, runs=20, rounds=1),
    "pause": partial(pause.measure, runs=10),
    "cuts": partial(cuts.measure, runs=10),
    "outage": partial(outage.measure, seconds=3.0, runs=10),
    "upgrade": partial(upgrade.measure, clients=10, rolls=1),
    "round-robin": partial(round_robin.measure, times=8),
    "quota": partial(quota.measure, nodes=3, limit=10, questions=50),
    "elsewhere": partial(elsewhere.measure, streams=10, tokens=40, cancels=20),
}


@click.command()
@click.option("--quick", is_flag=True, help="Under three minutes; smaller in everything.")
@click.option("--only", type=click.Choice(list(_FULL)), multiple=True, help="These parts; else all.")
@click.option("--docs", "writes_docs", is_flag=True, help="Write the table into docs/cluster.md.")
def main(quick: bool, only: tuple[str, ...], writes_docs: bool) -> None:
    """Kill, pause, cut off and upgrade servers that share runs, and compare what clients see with the promises."""
    raise_file_limit()
    machine = machine_in_words()
    console = Console(width=None if sys.stdout.isatty() else 140)
    chosen = _QUICK if quick else _FULL
    rows: list[Row] = []
    for name in only or chosen:
        figures = uvloop.run(measure(chosen[name]))
        print_table(f"{name} (load {os.getloadavg()[0]:.1f})", figures, console)
        rows.append(row_of(name, figures, CLUSTER))
    table = CLUSTER.section(rows, machine)
    _REPORT.parent.mkdir(exist_ok=True)
    _REPORT.write_text(table, "utf-8")
    if writes_docs:
        _PAGE.write_text(with_section(_PAGE.read_text("utf-8"), CLUSTER, table), "utf-8")
    missed = sum(not row.is_kept for row in rows)
    console.print("all promises are kept" if not missed else f"{missed} of {len(rows)} missed")
    sys.exit(1 if missed else 0)


async def measure(measurement: Measurement) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        return await measurement(Path(folder))


if __name__ == "__main__":
    main()
