"""Prints the results as one table."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.bench.contender import Kind
from benchmarks.bench.results import Result, Results, Spread, median

NAMES: Final[dict[Kind, str]] = {
    "bytes": "relay, bytes",
    "msgspec": "relay, rewriting, msgspec",
    "json": "relay, rewriting",
    "server": "aiostream-server",
    "shared": "aiostream-server, Redis",
    "usual": "FastAPI and AutoGen",
}
_COLUMNS: Final = (
    "burst\nus/token",
    "in reads\nus/token",
    "paced\nus/token",
    "paced,\nstreaming",
    "token\nus",
    "run\nms",
    "general\nms",
    "tokens/s",
    "streams/s",
    "first byte ms\np50 / p99",
    "first token ms\np50 / p99",
    "added ms\np50 / p99",
    "RSS\nMiB",
    "KiB per\nstream",
    "Redis\nus/token",
    "Redis\nbytes/token",
)


def print_results(results: Results, console: Console) -> None:
    table = Table("", "loop", title="CPU of the server's process, and what clients see", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for result in results.contenders:
        table.add_row(NAMES[result.kind], result.loop, *_cells(result))
    console.print(table)
    for note in _notes(results):
        console.print(note, highlight=False)


def _cells(result: Result) -> tuple[str, ...]:
    held = result.memory_per_stream
    return (
        _number(result.burst_us),
        _number(result.reads_us),
        _number(result.paced_us),
        _number(result.paced_streaming_us),
        _number(result.token_us),
        _number(result.run_ms, digits=2),
        _number(result.general_run_ms, digits=2),
        _number(result.tokens_per_s, digits=0),
        _number(result.answers_per_s, digits=0),
        _spread(result.first_byte_ms),
        _spread(result.first_token_ms),
        _spread(result.late_ms),
        f"{result.memory_bytes / 1024**2:.0f}",
        "-" if held is None else f"{held / 1024:.0f}",
        _number(result.redis_us),
        _number(result.redis_bytes, digits=0),
    )


def _notes(results: Results) -> list[str]:
    notes = [", ".join(f"{name} {value}" for name, value in results.machine.items())]
    paced = {result.paced_streams: result.kind for result in results.contenders if result.paced_streams}
    if paced:
        notes.append("paced: " + ", ".join(f"{streams} streams ({NAMES[kind]})" for streams, kind in paced.items()))
    if results.autogen_run_ms is not None:
        notes.append(f"run of the smallest team in AutoGen itself: {results.autogen_run_ms:.2f} ms")
    busiest = max((result.client_share for result in results.contenders), default=0.0)
    notes.append(f"the clients took {busiest:.0%} of a core at most")
    return notes


def _number(values: Sequence[float], *, digits: int = 1) -> str:
    middle = median(values)
    return "-" if middle is None else f"{middle:,.{digits}f}"


def _spread(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.p50:.2f} / {spread.p99:.1f}"
