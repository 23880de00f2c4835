"""`scripts/bench`: measures everything, prints it next to its targets, ends with status 1 where one is missed."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final, get_args

import click
from rich.console import Console

from benchmarks.bench import growth, parts, turns
from benchmarks.bench.contender import Kind, LoopName, contender, provider
from benchmarks.bench.parts import Subject
from benchmarks.bench.plan import FULL, PARTS, QUICK, Plan
from benchmarks.bench.plot import draw
from benchmarks.bench.report import print_results
from benchmarks.bench.results import Growth, Result, Results, Turns, Way, Workers, describe_machine
from benchmarks.bench.targets import DEFAULT_LOOP, LOOPS, judge
from benchmarks.figures import print_table
from benchmarks.processes import ROOT, raise_file_limit

_DEADLINE_S: Final = 900.0
_LATENCY_STREAMS: Final = 50
_WORKERS: Final = 2
_OURS: Final[tuple[Kind, ...]] = ("server", "shared")
_JSON: Final = ROOT / "build" / "bench.json"


@click.command()
@click.option("--quick", is_flag=True, help="A minute; less of fewer parts.")
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
    raise_file_limit()
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
    results = Results(describe_machine(), None, [])
    async with asyncio.timeout(_DEADLINE_S), AsyncExitStack() as stack:
        port = await stack.enter_async_context(provider())
        subjects = []
        for kind, loop in plan.contenders:
            subject = await _start(stack, kind, loop, port)
            results.contenders.append(subject.result)
            subjects.append(subject)
        await _put(subjects, plan, results, progress)
        if "workers" in plan.parts:
            for kind in _OURS:
                results.workers.extend(await _workers(subjects, kind, plan, port, progress))
    if "prices" in plan.parts:
        return replace(results, autogen_run_ms=await parts.autogen_run_ms())
    return results


async def _start(stack: AsyncExitStack, kind: Kind, loop: LoopName, port: int, *, workers: int = 1) -> Subject:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    each = await stack.enter_async_context(contender(kind, loop, port, folder, workers=workers))
    subject = Subject(each, Result(kind, loop, each.ready_s))
    await parts.warm_up(subject)
    return subject


async def _put(subjects: list[Subject], plan: Plan, results: Results, progress: Console) -> None:
    """Measure growth first: the other parts leave memory behind, which would hide it."""
    compared = [each for each in subjects if each.contender.kind in ("json", "server") and _is_default(each)]
    if "growth" in plan.parts:
        results.growth.extend(await _growth(compared, plan.growth_rounds, progress))
    if "turns" in plan.parts:
        results.turns.extend(await _turns(compared, plan, progress))
    rounds: tuple[tuple[str, int, Callable[[Subject], Awaitable[None]]], ...] = (
        ("burst", plan.rounds, partial(parts.burst, answers=plan.answers, slow_answers=plan.slow_answers)),
        ("reads", plan.rounds, partial(parts.reads, answers=plan.answers, slow_answers=plan.slow_answers)),
        ("paced", plan.paced_rounds, partial(parts.paced, streams=plan.streams, tokens=plan.paced_tokens)),
        ("latency", 1, partial(parts.latency, streams=_LATENCY_STREAMS, tokens=plan.latency_tokens)),
        ("prices", plan.price_rounds, partial(parts.prices, effort=plan.effort)),
        ("protocols", plan.price_rounds, partial(parts.protocols, effort=plan.effort)),
    )
    for part, times, measure in rounds:
        for time in range(times if part in plan.parts else 0):
            progress.print(f"{part}, {time + 1} of {times}")
            for subject in subjects:
                await measure(subject)


async def _growth(subjects: list[Subject], times: int, progress: Console) -> list[Growth]:
    """On the server's default loop only, with the relay beside it."""
    found = [(subject, growth.begin(subject)) for subject in subjects]
    for what, measure in (("streams", growth.measure_streams), ("tokens", growth.measure_tokens)):
        for time in range(times):
            progress.print(f"growth, {what}, {time + 1} of {times}")
            for subject, grown in found:
                await measure(subject, grown)
    return [grown for _, grown in found]


async def _turns(subjects: list[Subject], plan: Plan, progress: Console) -> list[Turns]:
    """On the server's default loop only. A relay keeps no conversations."""
    ways: dict[Kind, tuple[Way, ...]] = {"json": ("resent",), "server": ("resent", "kept")}
    found = [(each, turns.begin(each, way)) for each in subjects for way in ways[each.contender.kind]]
    for time in range(plan.turn_rounds):
        progress.print(f"turns, {time + 1} of {plan.turn_rounds}")
        for subject, each in found:
            await turns.measure(subject, each, conversations=plan.conversations, time=time)
    return [each for _, each in found]


async def _workers(subjects: list[Subject], kind: Kind, plan: Plan, port: int, progress: Console) -> list[Workers]:
    """On the server's default loop only. The server with several workers runs only for this part, and so do as many
    servers that share nothing. With a Redis that they share, servers are workers."""
    one = next((each for each in subjects if each.contender.kind == kind and _is_default(each)), None)
    if one is None:
        return []
    carried = Workers(DEFAULT_LOOP, _WORKERS, kind)
    async with AsyncExitStack() as stack:
        several = await _start(stack, kind, DEFAULT_LOOP, port, workers=_WORKERS)
        count = _WORKERS if kind == "server" else 0
        apart = [await _start(stack, kind, DEFAULT_LOOP, port) for _ in range(count)]
        for time in range(plan.worker_rounds):
            progress.print(f"workers, {kind}, {time + 1} of {plan.worker_rounds}")
            await parts.workers(several, one, apart, carried, answers=plan.answers)
    return [carried]


def _is_default(subject: Subject) -> bool:
    return subject.contender.loop == DEFAULT_LOOP


if __name__ == "__main__":
    main()
