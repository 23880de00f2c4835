"""What was found out, as it is kept in build/bench.json. Times have their unit in their name; CPU is the server's."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.bench.processes import Kind, LoopName
from benchmarks.soak.figures import percentile


@dataclass(frozen=True, slots=True)
class Spread:
    """Of many: the median, and what one in a hundred exceeds."""

    p50: float
    p99: float

    @classmethod
    def of_us(cls, values: Sequence[int]) -> "Spread":
        """In milliseconds."""
        return cls(percentile(values, 50) / 1_000, percentile(values, 99) / 1_000)


@dataclass(slots=True)
class Result:
    """One contender on one loop. Lists have one item per round; what was not measured is None or empty."""

    kind: Kind
    loop: LoopName
    ready_s: float
    burst_us: list[float] = field(default_factory=list)
    tokens_per_s: list[float] = field(default_factory=list)
    answers_per_s: list[float] = field(default_factory=list)
    paced_us: list[float] = field(default_factory=list)
    paced_streaming_us: list[float] = field(default_factory=list)  # without the beginnings and ends of runs
    paced_streams: int = 0
    late_ms: Spread | None = None
    first_byte_ms: Spread | None = None
    first_token_ms: Spread | None = None
    run_ms: list[float] = field(default_factory=list)  # the fixed price
    token_us: list[float] = field(default_factory=list)  # the marginal price
    memory_bytes: int = 0
    memory_per_stream: float | None = None
    client_share: float = 0.0  # of one core, at most; near 1 the clients were what was measured


@dataclass(frozen=True, slots=True)
class Growth:
    """CPU microseconds per token, streaming only: few and many streams at the same rate of tokens in all, and the
    first and the later tokens of long answers.
    """

    kind: Kind
    loop: LoopName
    streams: tuple[int, int]
    few_us: float
    many_us: float
    tokens: tuple[int, int, int]
    early_us: float
    late_us: float


@dataclass(frozen=True, slots=True)
class Results:
    machine: dict[str, str]
    autogen_run_ms: float | None  # the smallest team by itself, without any server
    contenders: list[Result]
    growth: list[Growth]

    def of(self, kind: Kind, loop: LoopName) -> Result | None:
        return next((each for each in self.contenders if (each.kind, each.loop) == (kind, loop)), None)


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
