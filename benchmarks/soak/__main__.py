"""`scripts/dev/soak`: measure everything, print it next to its targets, end with status 1 where one was missed."""

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import click
import uvloop
from rich.console import Console

from benchmarks.figures import Figure, print_table
from benchmarks.processes import raise_file_limit
from benchmarks.soak import leaks, pulled_cable, slow_clients, stopping, streams

Measurement = Callable[[Path], Awaitable[list[Figure]]]

_FULL: Mapping[str, Measurement] = {
    "streams": partial(streams.measure, streams=2_000),
    "stopping": partial(stopping.measure, streams=500),
    "leaks": partial(leaks.measure, runs=10_000, warm_up=12_000, looks=10),
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
@click.option("--only", type=click.Choice(list(_FULL)), multiple=True, help="These parts; else all.")
@click.option("--vanish", "with_vanish", is_flag=True, help="Also pull a client's cable; needs root and iproute2.")
def main(quick: bool, only: tuple[str, ...], with_vanish: bool) -> None:
    """Measure the server from outside, on this machine, and compare it with its targets."""
    raise_file_limit()
    console = Console(width=None if sys.stdout.isatty() else 120)
    chosen = dict(_QUICK if quick else _FULL)
    if only:
        chosen = {name: chosen[name] for name in only}
    if with_vanish:
        chosen["vanish"] = pulled_cable.measure
    missed = 0
    for name, measurement in chosen.items():
        figures = uvloop.run(_measure(measurement))
        print_table(f"{name} (load {os.getloadavg()[0]:.1f})", figures, console)
        missed += sum(figure.is_met is False for figure in figures)
    console.print("all targets are met" if not missed else f"{missed} missed")
    sys.exit(1 if missed else 0)


async def _measure(measurement: Measurement) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        return await measurement(Path(folder))


if __name__ == "__main__":
    main()
