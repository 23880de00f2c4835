"""The parts of the benchmark. Contenders take turns within a round, so that a noisy minute falls on all of them."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.bench.contender import Contender, Kind
from benchmarks.bench.load import LoadResult
from benchmarks.bench.protocols import PROTOCOLS
from benchmarks.bench.results import Result, Spread, Workers
from benchmarks.bench.script import NO_HISTORY, History, Script
from benchmarks.processes import ROOT

_CONNECTIONS: Final = 20
_TOKENS_A_READ: Final = 32
PAUSE_S: Final = 0.02
_SLOW: Final[frozenset[Kind]] = frozenset({"usual"})  # gets fewer questions, and only as many streams as it can serve
_SLOW_STREAMS: Final = 20
_DEADLINE_S: Final = 60.0
_WRITTEN_S: Final = 0.5  # what runs have said is in Redis by then


@dataclass(frozen=True, slots=True)
class Subject:
    """A running contender and its results."""

    contender: Contender
    result: Result

    @property
    def is_slow(self) -> bool:
        return self.contender.kind in _SLOW

    async def put(
        self,
        script: Script,
        *,
        connections: int,
        answers: int,
        ramp_s: float = 0.0,
        history: History = NO_HISTORY,
    ) -> LoadResult:
        seen = await self.contender.put(
            script, connections=connections, answers=answers, ramp_s=ramp_s, deadline_s=_DEADLINE_S, history=history
        )
        self.result.client_share = max(self.result.client_share, seen.client_cpu_s / seen.wall_s)
        self.result.memory_bytes = seen.memory_after
        return seen


async def warm_up(subject: Subject) -> None:
    await subject.put(Script(tokens=200), connections=10, answers=10 if subject.is_slow else 60)


async def burst(subject: Subject, *, answers: int, slow_answers: int) -> None:
    """Unpaced answers of 200 tokens, over connections that are kept."""
    answers = slow_answers if subject.is_slow else answers
    seen = await subject.put(Script(tokens=200), connections=_CONNECTIONS, answers=answers)
    subject.result.burst_us.append(_us_per_token(seen))
    subject.result.tokens_per_s.append(seen.tokens / seen.wall_s)
    subject.result.answers_per_s.append(seen.answers / seen.wall_s)


async def reads(subject: Subject, *, answers: int, slow_answers: int) -> None:
    """The burst, but the provider's event loop turns every 32 tokens: an answer comes in several reads."""
    answers = slow_answers if subject.is_slow else answers
    script = Script(tokens=200, turn_every=_TOKENS_A_READ)
    seen = await subject.put(script, connections=_CONNECTIONS, answers=answers)
    subject.result.reads_us.append(_us_per_token(seen))


async def paced(subject: Subject, *, streams: int, tokens: int) -> None:
    """A token every 20 ms in each stream; the streams begin evenly over a second, out of step."""
    streams = min(streams, _SLOW_STREAMS) if subject.is_slow else streams
    redis = subject.contender.redis
    before = (redis.cpu_s, await redis.used_bytes()) if redis is not None else (0.0, 0)
    seen = await subject.put(Script(tokens, PAUSE_S), connections=streams, answers=streams, ramp_s=1.0)
    subject.result.paced_us.append(_us_per_token(seen))
    subject.result.paced_streaming_us.append(us_per_token_streaming(seen))
    subject.result.paced_streams = streams
    if redis is not None:
        await asyncio.sleep(_WRITTEN_S)
        subject.result.redis_us.append((redis.cpu_s - before[0]) / seen.tokens * 1e6)
        subject.result.redis_bytes.append((await redis.used_bytes() - before[1]) / seen.tokens)


async def latency(subject: Subject, *, streams: int, tokens: int) -> None:
    """The delay of paced tokens. All contenders get the same number of streams; the usual pattern cannot serve 50."""
    seen = await subject.put(Script(tokens, PAUSE_S), connections=streams, answers=streams, ramp_s=1.0)
    subject.result.late_ms = Spread.of_us(seen.late_us)
    subject.result.first_byte_ms = Spread.of_us(seen.first_byte_us)
    subject.result.first_token_ms = Spread.of_us(seen.first_token_us)


async def prices(subject: Subject, *, effort: float) -> None:
    """The line through short and long answers gives the cost of a run and of each further token."""
    short, long = Script(tokens=20), Script(tokens=2_000)
    few = 0.2 if subject.is_slow else 1.0
    shorts = await subject.put(short, connections=10, answers=max(10, int(200 * effort * few)))
    longs = await subject.put(long, connections=10, answers=max(4, int(20 * effort * few)))
    token_s = slope(shorts, short, longs, long)
    subject.result.token_us.append(token_s * 1e6)
    subject.result.run_ms.append((shorts.cpu_s / shorts.answers - token_s * short.tokens) * 1_000)
    if subject.contender.kind == "server":
        of_general = await subject.put(replace(short, team="general"), connections=10, answers=shorts.answers)
        general_s = of_general.cpu_s / of_general.answers - token_s * short.tokens
        subject.result.general_run_ms.append(general_s * 1_000)


async def protocols(subject: Subject, *, effort: float) -> None:
    """The price of a further token in each of the server's protocols."""
    if subject.contender.kind != "server":
        return
    for name in PROTOCOLS:
        short, long = Script(tokens=20, protocol=name), Script(tokens=2_000, protocol=name)
        shorts = await subject.put(short, connections=10, answers=max(10, int(100 * effort)))
        longs = await subject.put(long, connections=10, answers=max(4, int(20 * effort)))
        subject.result.protocols_us.setdefault(name, []).append(slope(shorts, short, longs, long) * 1e6)


async def workers(several: Subject, one: Subject, apart: Sequence[Subject], carried: Workers, *, answers: int) -> None:
    """The burst, over twice as many connections, so that both have enough of them. `apart` share the same load."""
    for subject, us, tokens_per_s, busiest_us in (
        (one, carried.one_us, carried.one_tokens_per_s, carried.one_busiest_us),
        (several, carried.several_us, carried.several_tokens_per_s, carried.several_busiest_us),
    ):
        seen = await subject.put(Script(tokens=200), connections=2 * _CONNECTIONS, answers=answers)
        us.append(_us_per_token(seen))
        tokens_per_s.append(seen.tokens / seen.wall_s)
        busiest_us.append(max(seen.processes_cpu_s) / seen.tokens * 1e6)
    if apart:
        count = len(apart)
        loads = (
            each.put(Script(tokens=200), connections=2 * _CONNECTIONS // count, answers=answers // count)
            for each in apart
        )
        shares = await asyncio.gather(*loads)
        tokens = sum(each.tokens for each in shares)
        carried.apart_us.append(sum(each.cpu_s for each in shares) / tokens * 1e6)


async def autogen_run_ms() -> float:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.bench.autogen_price"), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return float(told)


def slope(shorts: LoadResult, short: Script, longs: LoadResult, long: Script) -> float:
    """CPU seconds of one more token."""
    return (longs.cpu_s / longs.answers - shorts.cpu_s / shorts.answers) / (long.tokens - short.tokens)


def _us_per_token(seen: LoadResult) -> float:
    return seen.cpu_s / seen.tokens * 1e6


def us_per_token_streaming(seen: LoadResult) -> float:
    if not seen.steady_tokens:
        raise RuntimeError("the streams were never all live at once")
    return seen.steady_cpu_s / seen.steady_tokens * 1e6
