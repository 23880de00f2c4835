"""What is promised, as ratios within one run of the benchmark wherever one machine is faster than another."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from benchmarks.bench.processes import LoopName
from benchmarks.bench.report import NAMES
from benchmarks.bench.results import Growth, Result, Results, median
from benchmarks.soak.figures import Figure

LOOPS: Final[tuple[LoopName, ...]] = ("asyncio", "uvloop")
DEFAULT_LOOP: Final[LoopName] = "uvloop"  # of the server's configuration

_MAX_STREAM_BYTES: Final = 64 * 1024
_MAX_GROWTH: Final = 1.10


def judge(results: Results) -> list[Figure]:
    """Every target that can be judged by what was measured."""
    return [
        *_beside_relay("burst", results, lambda result: result.burst_us, 1.0),
        *_beside_relay("paced", results, lambda result: result.paced_us, 1.1),
        *_beside_usual(results),
        *_delays(results),
        *_memory(results),
        *_growth(results),
        *_start(results),
    ]


def _beside_relay(
    what: str, results: Results, taken: Callable[[Result], Sequence[float]], most: float
) -> Iterator[Figure]:
    """All on the loop that serves the rewriting relay best; on the other one it is only told."""
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
    ours = results.of("server", DEFAULT_LOOP)
    if ours is not None and (held := ours.memory_per_stream) is not None:
        yield Figure("memory per live stream", f"{held / 1024:.0f} KiB", "<= 64 KiB", held <= _MAX_STREAM_BYTES)


def _growth(results: Results) -> Iterator[Figure]:
    """The relay's own growth is told beside the server's: caches and sockets are the same for both."""
    for each in results.growth:
        yield _grown(each, f"from {each.streams[0]} to {each.streams[1]:,} streams", each.few_us, each.many_us)
        short, middle, long = each.tokens
        what = f"in tokens {middle:,} to {long:,} of an answer, beside {short} to {middle:,}"
        yield _grown(each, what, each.early_us, each.late_us)


def _grown(growth: Growth, what: str, before_us: float, after_us: float) -> Figure:
    ratio = after_us / before_us
    name = f"{NAMES[growth.kind]}: CPU per token {what}"
    figure = f"{(ratio - 1) * 100:+.0f} % ({before_us:.1f} to {after_us:.1f} us)"
    return Figure(name, figure, "<= +10 %", ratio <= _MAX_GROWTH) if growth.kind == "server" else Figure(name, figure)


def _start(results: Results) -> Iterator[Figure]:
    if (ours := results.of("server", DEFAULT_LOOP)) is not None:
        yield Figure("start to ready", f"{ours.ready_s:.2f} s", "< 1.5 s", ours.ready_s < 1.5)


def _of(result: Result | None, taken: Callable[[Result], Sequence[float]]) -> float | None:
    return median(taken(result)) if result is not None else None
