"""The targets. Those that depend on the machine are ratios within one run of the benchmark."""

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from benchmarks.bench.contender import LoopName
from benchmarks.bench.protocols import CHAT
from benchmarks.bench.report import NAMES
from benchmarks.bench.results import Growth, Result, Results, Turns, median
from benchmarks.bench.script import stamp
from benchmarks.figures import Figure

LOOPS: Final[tuple[LoopName, ...]] = ("asyncio", "uvloop")
DEFAULT_LOOP: Final[LoopName] = "uvloop"  # of the server's configuration

_MAX_STREAM_BYTES: Final = 64 * 1024
_MAX_GROWTH: Final = 1.10
_MAX_PROTOCOL: Final = 1.3
_MAX_SHARED: Final = 1.05
_USUAL_CHARS: Final = 5  # of a token, where the benchmark's carry a stamp
_MIN_WORKERS: Final = 1.7
_MAX_WORKERS_PRICE: Final = 1.05
_MAX_BUSIEST: Final = 0.6  # the one that gets more of a core asks for more questions
_MAX_RUN: Final = 0.92  # 1.2 ms where AutoGen takes 1.3


def judge(results: Results) -> list[Figure]:
    """The targets that the results cover."""
    return [
        *_beside_relay("burst", results, lambda result: result.burst_us, 1.0),
        *_beside_relay("burst in several reads", results, lambda result: result.reads_us, 0.9),
        *_beside_relay("paced", results, lambda result: result.paced_us, 1.05),
        *_beside_usual(results),
        *_shared(results),
        *_runs(results),
        *_protocols(results),
        *_delays(results),
        *_memory(results),
        *_growth(results),
        *_turns(results),
        *_workers(results),
        *_start(results),
    ]


def _beside_relay(
    what: str, results: Results, taken: Callable[[Result], Sequence[float]], most: float
) -> Iterator[Figure]:
    """Judge on the loop on which the rewriting relay is faster; report the other loop without a target."""
    relays = {loop: us for loop in LOOPS if (us := _of(results.of("json", loop), taken)) is not None}
    for loop, relay_us in relays.items():
        if (server_us := _of(results.of("server", loop), taken)) is None:
            continue
        ratio = server_us / relay_us
        figure = f"{ratio:.2f} x ({server_us:.1f} to {relay_us:.1f} us)"
        is_best = relay_us == min(relays.values())
        name = f"{what}: CPU per token beside the rewriting relay, {loop}"
        yield Figure(name, figure, f"<= {most} x", ratio <= most) if is_best else Figure(name, figure)


def _beside_usual(results: Results) -> Iterator[Figure]:
    for loop in LOOPS:
        usual = _of(results.of("usual", loop), lambda result: result.burst_us)
        ours = _of(results.of("server", loop), lambda result: result.burst_us)
        if usual is not None and ours is not None:
            name = f"burst: CPU per token beside the usual pattern, {loop}"
            yield Figure(name, f"1/{usual / ours:.1f} ({ours:.1f} to {usual:.0f} us)", "<= 1/20", usual / ours >= 20)


def _shared(results: Results) -> Iterator[Figure]:
    """Runs in Redis, beside the same server with its runs in memory."""
    ours, shared = results.of("server", DEFAULT_LOOP), results.of("shared", DEFAULT_LOOP)
    if ours is None or shared is None:
        return
    for what, memory_us, redis_us in (
        ("paced", ours.paced_us, shared.paced_us),
        ("paced, streaming alone", ours.paced_streaming_us, shared.paced_streaming_us),
        ("burst", ours.burst_us, shared.burst_us),
    ):
        if (before := median(memory_us)) is not None and (after := median(redis_us)) is not None:
            figure, ratio = f"{after / before:.2f} x ({before:.1f} to {after:.1f} us)", after / before
            name = f"runs in Redis: CPU per token beside those in memory, {what}"
            is_judged = what == "paced"
            yield (
                Figure(name, figure, f"<= {_MAX_SHARED} x", ratio <= _MAX_SHARED) if is_judged else Figure(name, figure)
            )
    if (us := median(shared.redis_us)) is not None and (held := median(shared.redis_bytes)) is not None:
        yield Figure("CPU of Redis itself, per token, paced", f"{us:.2f} us", "<= 2 us", us <= 2)
        usual = held - len(stamp()) + _USUAL_CHARS  # text is stored as it is
        figure = f"{usual:.0f} bytes for one of {_USUAL_CHARS} characters, {held:.0f} for one of {len(stamp())}"
        yield Figure("memory of Redis, per token, paced", figure, "<= 32 bytes", usual <= 32)
    if (first := shared.first_byte_ms) is not None:
        yield Figure("runs in Redis: first byte, p99", f"{first.p99:.2f} ms", "<= 10 ms", first.p99 <= 10)


def _runs(results: Results) -> Iterator[Figure]:
    """Beside AutoGen's smallest team in a process of its own, which has neither a tool nor a client."""
    ours, autogen_ms = results.of("server", DEFAULT_LOOP), results.autogen_run_ms
    if ours is None or autogen_ms is None or (general_ms := median(ours.general_run_ms)) is None:
        return
    ratio = general_ms / autogen_ms
    figure = f"{ratio:.2f} x ({general_ms:.2f} to {autogen_ms:.2f} ms)"
    name = "CPU of a run of the general team, beside AutoGen's smallest team alone"
    yield Figure(name, figure, f"<= {_MAX_RUN} x", ratio <= _MAX_RUN)


def _protocols(results: Results) -> Iterator[Figure]:
    """Beside chat completions, by the least of each: a token costs a few microseconds, and others use the machine."""
    if (ours := results.of("server", DEFAULT_LOOP)) is None or CHAT not in ours.protocols_us:
        return
    chat_us = min(ours.protocols_us[CHAT])
    for name, found in ours.protocols_us.items():
        if name != CHAT:
            ratio = min(found) / chat_us
            figure = f"{ratio:.2f} x ({min(found):.1f} to {chat_us:.1f} us)"
            what = f"{name}: CPU per token beside chat completions"
            yield Figure(what, figure, f"<= {_MAX_PROTOCOL} x", ratio <= _MAX_PROTOCOL)


def _delays(results: Results) -> Iterator[Figure]:
    ours = results.of("server", DEFAULT_LOOP)
    if ours is None or ours.late_ms is None or ours.first_byte_ms is None:
        return
    late, first = ours.late_ms, ours.first_byte_ms
    yield Figure("added latency per token, 50 streams, p50", f"{late.p50:.2f} ms", "< 1 ms", late.p50 < 1)
    yield Figure("added latency per token, 50 streams, p99", f"{late.p99:.2f} ms", "< 5 ms", late.p99 < 5)
    yield Figure("first byte after the request, p50", f"{first.p50:.2f} ms", "<= 10 ms", first.p50 <= 10)
    yield Figure("first byte after the request, p99", f"{first.p99:.2f} ms", "<= 10 ms", first.p99 <= 10)


def _memory(results: Results) -> Iterator[Figure]:
    for kind in ("server", "json"):
        result = results.of(kind, DEFAULT_LOOP)
        if result is None or (held := result.memory_per_stream) is None:
            continue
        name, figure = f"{NAMES[kind]}: memory per live stream", f"{held / 1024:.0f} KiB"
        is_judged = kind == "server"
        yield Figure(name, figure, "<= 64 KiB", held <= _MAX_STREAM_BYTES) if is_judged else Figure(name, figure)


def _growth(results: Results) -> Iterator[Figure]:
    """Report the relay's growth beside the server's: both share the costs of caches and sockets."""
    for each in results.growth:
        few, many = each.streams
        what = f"from {few} to {many:,} streams"
        yield _grown(each, what, each.few_us, each.many_us)
        few_us, many_us = statistics.median(each.few_system_us), statistics.median(each.many_system_us)
        yield Figure(f"{NAMES[each.kind]}: of it in the kernel", f"{few_us:.0f} to {many_us:.0f} us")
        short, middle, long = each.tokens
        what = f"in tokens {middle:,} to {long:,} of an answer, beside {short} to {middle:,}"
        yield _grown(each, what, each.early_us, each.late_us)


def _grown(growth: Growth, what: str, before: Sequence[float], after: Sequence[float]) -> Figure:
    before_us, after_us = statistics.median(before), statistics.median(after)
    ratio = after_us / before_us
    name = f"{NAMES[growth.kind]}: CPU per token {what}"
    figure = f"{(ratio - 1) * 100:+.0f} % ({before_us:.1f} to {after_us:.1f} us)"
    return Figure(name, figure, "<= +10 %", ratio <= _MAX_GROWTH) if growth.kind == "server" else Figure(name, figure)


def _turns(results: Results) -> Iterator[Figure]:
    """The relay's growth is the cost of sending messages to the provider (`turns`). Without it nothing is judged."""
    relay = next((_medians(each) for each in results.turns if each.kind == "json"), None)
    for each in results.turns:
        ms = _medians(each)
        name = f"{NAMES[each.kind]}: CPU of a turn, conversation {each.way}"
        told = ", ".join(f"{value:.2f}" for value in ms.values())
        yield Figure(name, f"{told} ms with {', '.join(map(str, ms))} turns before it")
        if each.kind != "server" or relay is None:
            continue
        first, last = min(ms), max(ms)
        must_ms = relay[last] - relay[first]
        ratio = (ms[last] - must_ms) / ms[first]
        figure = f"{(ratio - 1) * 100:+.0f} % (and {must_ms:.2f} ms)"
        yield Figure(
            f"{name}, from {first} to {last}, but for the relay's growth", figure, "<= +10 %", ratio <= _MAX_GROWTH
        )


def _medians(turns: Turns) -> dict[int, float]:
    return {earlier: statistics.median(found) for earlier, found in turns.ms.items()}


def _workers(results: Results) -> Iterator[Figure]:
    for each in results.workers:
        one, several = statistics.median(each.one_tokens_per_s), statistics.median(each.several_tokens_per_s)
        one_us, several_us = statistics.median(each.one_us), statistics.median(each.several_us)
        cores = f"all on {os.cpu_count()} cores with the provider and the clients"
        figure = f"{several / one:.2f} x ({one:,.0f} to {several:,.0f})"
        name = f"{each.count} workers beside one{', runs in Redis' if each.kind == 'shared' else ''}"
        yield Figure(f"{name}: tokens/s in the burst, {cores}", figure)
        figure = f"{several_us / one_us:.2f} x ({one_us:.1f} to {several_us:.1f} us)"
        yield Figure(f"{name}: CPU per token, of all processes together", figure)
        if each.apart_us:
            apart_us = statistics.median(each.apart_us)
            ratio = several_us / apart_us
            what = f"{name}: CPU per token, beside as many servers that share nothing"
            figure = f"{ratio:.2f} x ({apart_us:.1f} to {several_us:.1f} us)"
            yield Figure(what, figure, f"<= {_MAX_WORKERS_PRICE} x", ratio <= _MAX_WORKERS_PRICE)
        if each.several_busiest_us:
            share = statistics.median(each.several_busiest_us) / several_us
            what = f"{name}: the busiest one's share of their CPU time"
            yield Figure(what, f"{share:.2f}", f"<= {_MAX_BUSIEST}", share <= _MAX_BUSIEST)
        if each.one_busiest_us:
            carried = statistics.median(each.one_busiest_us) / statistics.median(each.several_busiest_us)
            what = f"{name}: what they carry with a core each, by the CPU time of the busiest"
            yield Figure(what, f"{carried:.2f} x", f">= {_MIN_WORKERS} x", carried >= _MIN_WORKERS)


def _start(results: Results) -> Iterator[Figure]:
    if (ours := results.of("server", DEFAULT_LOOP)) is not None:
        yield Figure("start to ready", f"{ours.ready_s:.2f} s", "< 1.5 s", ours.ready_s < 1.5)


def _of(result: Result | None, taken: Callable[[Result], Sequence[float]]) -> float | None:
    return median(taken(result)) if result is not None else None
