"""What a token costs where there is much: many streams at once, long answers.

Everything is measured in rounds, contenders in turn, and medians count: now and then a full garbage collection of the
server's falls into a measurement. It belongs to the runs that ended before it, and takes as much CPU as 80,000 tokens
of a long answer do (measured: 0.59 s for 2,000 runs).
"""

from typing import Final

from benchmarks.bench.load import Seen
from benchmarks.bench.parts import PAUSE_S, Subject, slope, us_per_token_streaming
from benchmarks.bench.results import Growth
from benchmarks.bench.script import Script

_FEW: Final = 10
_MANY: Final = 1_000
_RATE: Final = 5_000  # tokens a second, however many streams they are spread over
_RAMP_S: Final = 5.0  # while many begin: not counted
_LENGTHS: Final = ((100, 200), (2_000, 20), (20_000, 8))  # tokens of an answer, and answers: half a second of CPU each
_CONNECTIONS: Final = 4


def begin(subject: Subject) -> Growth:
    """Of which nothing is known yet."""
    short, middle, long = (tokens for tokens, _ in _LENGTHS)
    return Growth(subject.contender.kind, subject.contender.loop, (_FEW, _MANY), (short, middle, long))


async def measure_streams(subject: Subject, growth: Growth) -> None:
    """One round. The memory of a stream is that of the first round: later ones use again what it left."""
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
    """One round: the price of a token by the lines through answers of two lengths, so that of the run is not in it."""
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


def _system_us(seen: Seen) -> float:
    return seen.steady_system_s / seen.steady_tokens * 1e6
