"""Figures with their targets, and how they are printed."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """`is_met` is None for a figure without a target."""

    what: str
    measured: str
    target: str = ""
    is_met: bool | None = None


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def print_table(title: str, figures: Iterable[Figure], console: Console) -> None:
    table = Table("what", "measured", "target", "", title=title, title_justify="left")
    for figure in figures:
        sign = "" if figure.is_met is None else "ok" if figure.is_met else "MISSED"
        table.add_row(figure.what, figure.measured, figure.target, sign)
    console.print(table)
