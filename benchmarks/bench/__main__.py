"""`scripts/bench`: measure everything, print it next to its targets, end with status 1 where one was missed."""

import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final, get_args

import click
from rich.console import Console

from benchmarks.bench import parts
from benchmarks.bench.machine import describe
from benchmarks.bench.parts import Subject
from benchmarks.bench.plan import FULL, PARTS, QUICK, Plan
from benchmarks.bench.plot import draw
from benchmarks.bench.processes import Kind, LoopName, contender, provider
from benchmarks.bench.report import print_results
from benchmarks.bench.results import Growth, Result, Results
from benchmarks.bench.targets import DEFAULT_LOOP, LOOPS, judge
from benchmarks.soak.figures import print_table
from benchmarks.soak.processes import ROOT

_DEADLINE_S: Final = 900.0
_LATENCY_STREAMS: Final = 50
_JSON: Final = ROOT / "build" / "bench.json"


@click.command()
@click.option("--quick", is_flag=True, help="Under a minute; less of everything.")
@click.option("--only", "kinds", type=click.Choice(get_args(Kind)), multiple=True, help="These contenders.")
@click.option("--loop", "loops", type=click.Choice(LOOPS), multiple=True, help="This event loop; else both.")
@click.option("--part", "chosen", type=click.Choice(PARTS), multiple=True, help="These parts.")
@click.option("--rounds", type=click.IntRange(1, 50), help="Of the burst.")
@click.option("--streams", type=click.IntRange(1, 2_000), help="At once, in the paced part.")
def main(
    quick: bool,
    kinds: tuple[Kind, ...],
    loops: tuple[LoopName, ...],
    chosen: tuple[str, ...],
    rounds: int | None,
    streams: int | None,
) -> None:
    """Measure this server, bare relays and the usual pattern beside one another, on this machine."""
    _raise_file_limit()
    plan = (QUICK if quick else FULL).changed(kinds, loops, chosen, rounds, streams)
    console = Console(width=None if sys.stdout.isatty() else 180)
    results = asyncio.run(_measure(plan, Console(stderr=True)))
    _JSON.parent.mkdir(exist_ok=True)
    _JSON.write_text(json.dumps(asdict(results), indent=1), "utf-8")
    picture = ROOT / "docs" / "bench.svg" if plan == FULL else _JSON.with_suffix(".svg")
    picture.write_text(draw(results), "utf-8")
    figures = judge(results)
    print_results(results, console)
    print_table("targets", figures, console)
    console.print(f"{_JSON.relative_to(ROOT)}, {picture.relative_to(ROOT)}")
    sys.exit(1 if any(figure.is_met is False for figure in figures) else 0)


async def _measure(plan: Plan, progress: Console) -> Results:
    machine = describe()
    async with asyncio.timeout(_DEADLINE_S), AsyncExitStack() as stack:
        port = await stack.enter_async_context(provider())
        subjects = []
        for kind, loop in plan.contenders:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            each = await stack.enter_async_context(contender(kind, loop, port, folder))
            subjects.append(Subject(each, Result(kind, loop, each.ready_s)))
        grown = await _put(subjects, plan, progress)
    autogen_run_ms = await parts.autogen_run_ms() if "prices" in plan.parts else None
    return Results(machine, autogen_run_ms, [subject.result for subject in subjects], grown)


async def _put(subjects: list[Subject], plan: Plan, progress: Console) -> list[Growth]:
    """Growth comes before what leaves much memory behind."""
    for subject in subjects:
        await parts.warm_up(subject)
    grown = await _growth(subjects, progress) if "growth" in plan.parts else []
    rounds: tuple[tuple[str, int, Callable[[Subject], Awaitable[None]]], ...] = (
        ("burst", plan.rounds, partial(parts.burst, answers=plan.answers, slow_answers=plan.slow_answers)),
        ("paced", plan.paced_rounds, partial(parts.paced, streams=plan.streams, tokens=plan.paced_tokens)),
        ("latency", 1, partial(parts.latency, streams=_LATENCY_STREAMS, tokens=plan.latency_tokens)),
        ("prices", plan.price_rounds, partial(parts.prices, effort=plan.effort)),
    )
    for part, times, measure in rounds:
        for time in range(times if part in plan.parts else 0):
            progress.print(f"{part}, {time + 1} of {times}")
            for subject in subjects:
                await measure(subject)
    return grown


async def _growth(subjects: list[Subject], progress: Console) -> list[Growth]:
    """On the server's default loop only, with the relay beside it."""
    progress.print("growth")
    chosen = [each for each in subjects if each.contender.kind in ("json", "server")]
    return [await parts.growth(each) for each in chosen if each.contender.loop == DEFAULT_LOOP]


def _raise_file_limit() -> None:
    """Each stream takes two files in the server."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
