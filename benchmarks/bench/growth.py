"""The cost of a token with many streams at once, and in long answers.

Contenders are measured in turn, in rounds, and the median of the rounds is the result: sometimes a full garbage
collection of the server falls into a round. It belongs to the runs before it, and takes as much CPU as 80,000 tokens of
a long answer (measured: 0.59 s for 2,000 runs).
"""

from typing import Final

from benchmarks.bench.load import LoadResult
from benchmarks.bench.parts import PAUSE_S, Subject, slope, us_per_token_streaming
from benchmarks.bench.results import Growth
from benchmarks.bench.script import Script

_FEW: Final = 10
_MANY: Final = 1_000
_RATE: Final = 5_000  # tokens a second in all, for any number of streams
_RAMP_S: Final = 5.0  # the time in which many streams begin; not measured
_LENGTHS: Final = ((100, 200), (2_000, 20), (20_000, 8))  # tokens of an answer, and answers: half a second of CPU each
_CONNECTIONS: Final = 4


def begin(subject: Subject) -> Growth:
    """An empty result."""
    short, middle, long = (tokens for tokens, _ in _LENGTHS)
    return Growth(subject.contender.kind, subject.contender.loop, (_FEW, _MANY), (short, middle, long))


async def measure_streams(subject: Subject, growth: Growth) -> None:
    """One round. Only the first round gives the memory of a stream, because later rounds reuse freed memory."""
    if not growth.few_us:
        await subject.put(Script(tokens=50, pause_s=PAUSE_S), connections=_FEW, answers=_FEW)
    few = await subject.put(_spread_over(_FEW, seconds=2.5), connections=_FEW, answers=_FEW)
    many = await subject.put(_spread_over(_MANY, seconds=7.5), connections=_MANY, answers=_MANY, ramp_s=_RAMP_S)
    growth.few_us.append(us_per_token_streaming(few))
    growth.few_system_us.append(_system_us(few))
    growth.many_us.append(us_per_token_streaming(many))
    growth.many_system_us.append(_system_us(many))
    if subject.result.memory_per_stream is None:
        subject.result.memory_per_stream = (many.memory_live - many.memory_before) / _MANY


async def measure_tokens(subject: Subject, growth: Growth) -> None:
    """One round. A token's cost is the slope between answers of two lengths, which excludes the cost of the run."""
    scripts = [Script(tokens) for tokens, _ in _LENGTHS]
    seen = [
        await subject.put(script, connections=_CONNECTIONS, answers=answers)
        for script, (_, answers) in zip(scripts, _LENGTHS, strict=True)
    ]
    growth.early_us.append(slope(seen[0], scripts[0], seen[1], scripts[1]) * 1e6)
    growth.late_us.append(slope(seen[1], scripts[1], seen[2], scripts[2]) * 1e6)


def _spread_over(streams: int, *, seconds: float) -> Script:
    pause_s = streams / _RATE
    return Script(tokens=int(seconds / pause_s), pause_s=pause_s)


def _system_us(seen: LoadResult) -> float:
    return seen.steady_system_s / seen.steady_tokens * 1e6
