"""The results, as build/bench.json holds them. Times have their unit in their name; CPU time is the server's."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from benchmarks.bench.contender import Kind, LoopName
from benchmarks.figures import percentile

_PACKAGES: Final = ("aiohttp", "uvloop", "msgspec", "autogen-agentchat", "openai", "fastapi", "uvicorn")


@dataclass(frozen=True, slots=True)
class Spread:
    """The median and the 99th percentile."""

    p50: float
    p99: float

    @classmethod
    def of_us(cls, values: Sequence[int]) -> "Spread":
        """In milliseconds."""
        return cls(percentile(values, 50) / 1_000, percentile(values, 99) / 1_000)


@dataclass(slots=True)
class Result:
    """One contender on one loop. Lists have one item per round; None or an empty list was not measured."""

    kind: Kind
    loop: LoopName
    ready_s: float
    burst_us: list[float] = field(default_factory=list)
    reads_us: list[float] = field(default_factory=list)  # the burst, each answer in several reads
    tokens_per_s: list[float] = field(default_factory=list)
    answers_per_s: list[float] = field(default_factory=list)
    paced_us: list[float] = field(default_factory=list)
    paced_streaming_us: list[float] = field(default_factory=list)  # without the beginnings and ends of runs
    paced_streams: int = 0
    redis_us: list[float] = field(default_factory=list)  # CPU of Redis itself, per token of the paced part
    redis_bytes: list[float] = field(default_factory=list)  # memory that Redis has taken for it, per token
    late_ms: Spread | None = None
    first_byte_ms: Spread | None = None
    first_token_ms: Spread | None = None
    run_ms: list[float] = field(default_factory=list)  # the fixed price
    general_run_ms: list[float] = field(default_factory=list)  # of the built-in general team, which has a tool
    token_us: list[float] = field(default_factory=list)  # the marginal price
    protocols_us: dict[str, list[float]] = field(default_factory=dict)  # the marginal price by protocol
    memory_bytes: int = 0
    memory_per_stream: float | None = None  # the growth of the process when many streams are live for the first time
    client_share: float = 0.0  # the maximum share of one core; near 1 the clients are the bottleneck


@dataclass(frozen=True, slots=True)
class Growth:
    """CPU microseconds per token, streaming only: few and many streams at the same rate of tokens in all (`*_system_us`
    of it in the kernel), and the first and the later tokens of long answers. One item per round.
    """

    kind: Kind
    loop: LoopName
    streams: tuple[int, int]
    tokens: tuple[int, int, int]
    few_us: list[float] = field(default_factory=list)
    few_system_us: list[float] = field(default_factory=list)
    many_us: list[float] = field(default_factory=list)
    many_system_us: list[float] = field(default_factory=list)
    early_us: list[float] = field(default_factory=list)
    late_us: list[float] = field(default_factory=list)


Way = Literal["resent", "kept"]
"""How a conversation is known: by messages that are sent again, or by a name, under which the server keeps it."""


@dataclass(frozen=True, slots=True)
class Turns:
    """CPU milliseconds of a turn, by the number of earlier turns. One item per round."""

    kind: Kind
    loop: LoopName
    way: Way
    ms: dict[int, list[float]]


@dataclass(frozen=True, slots=True)
class Workers:
    """The burst with one worker process and with several: CPU microseconds per token, of all of them, and tokens/s.

    `*_busiest_us` is the CPU time of the busiest process, per token of all: what each carries with a core of its own.
    `apart_us` is the price of a token in as many servers that share nothing, under the same load at once.
    """

    loop: LoopName
    count: int
    kind: Kind = "server"
    one_us: list[float] = field(default_factory=list)
    several_us: list[float] = field(default_factory=list)
    one_tokens_per_s: list[float] = field(default_factory=list)
    several_tokens_per_s: list[float] = field(default_factory=list)
    one_busiest_us: list[float] = field(default_factory=list)
    several_busiest_us: list[float] = field(default_factory=list)
    apart_us: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Results:
    machine: dict[str, str]
    autogen_run_ms: float | None  # the smallest team by itself, without any server
    contenders: list[Result]
    growth: list[Growth] = field(default_factory=list)
    turns: list[Turns] = field(default_factory=list)
    workers: list[Workers] = field(default_factory=list)

    def of(self, kind: Kind, loop: LoopName) -> Result | None:
        return next((each for each in self.contenders if (each.kind, each.loop) == (kind, loop)), None)


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def describe_machine() -> dict[str, str]:
    """Where and with what was measured. No figure means anything without it."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }


def machine_in_words() -> str:
    """The same, for a row of a table."""
    told = describe_machine()
    return f"{told['processor']}, Python {told['python']}, load {told['load at the start']}, {told['date']}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()
