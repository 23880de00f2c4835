"""How much is measured: contenders, parts, rounds, streams, tokens."""

from dataclasses import dataclass, replace
from typing import Final

from benchmarks.bench.contender import Kind, LoopName

PARTS: Final = ("growth", "turns", "burst", "reads", "paced", "latency", "prices", "protocols", "workers")


@dataclass(frozen=True, slots=True)
class Plan:
    contenders: tuple[tuple[Kind, LoopName], ...]
    parts: tuple[str, ...]
    rounds: int
    answers: int  # in each round of the burst
    slow_answers: int  # of one that takes twenty times as long for each
    paced_rounds: int
    paced_tokens: int
    streams: int
    latency_tokens: int
    price_rounds: int
    effort: float
    growth_rounds: int
    turn_rounds: int
    conversations: int
    worker_rounds: int

    def changed(
        self,
        kinds: tuple[Kind, ...],
        loops: tuple[LoopName, ...],
        chosen: tuple[str, ...],
        rounds: int | None,
        streams: int | None,
    ) -> "Plan":
        """The plan with these options instead of its own; an option that was not given changes nothing."""
        contenders = self.contenders
        if kinds:
            contenders = tuple((kind, loop) for loop in _LOOPS for kind in kinds)
        return replace(
            self,
            contenders=tuple(each for each in contenders if not loops or each[1] in loops),
            parts=chosen or self.parts,
            rounds=rounds or self.rounds,
            streams=streams or self.streams,
        )


_LOOPS: Final[tuple[LoopName, ...]] = ("asyncio", "uvloop")
_KINDS: Final[tuple[Kind, ...]] = ("bytes", "msgspec", "json", "server", "usual")

FULL: Final = Plan(
    contenders=(*((kind, loop) for kind in _KINDS for loop in _LOOPS), ("shared", "uvloop")),
    parts=PARTS,
    rounds=5,
    answers=300,
    slow_answers=40,
    paced_rounds=2,
    paced_tokens=200,
    streams=200,
    latency_tokens=150,
    price_rounds=2,
    effort=1.0,
    growth_rounds=3,
    turn_rounds=3,
    conversations=60,
    worker_rounds=4,
)
QUICK: Final = Plan(
    contenders=(
        ("json", "asyncio"),
        ("server", "asyncio"),
        ("json", "uvloop"),
        ("server", "uvloop"),
        ("shared", "uvloop"),
        ("usual", "uvloop"),
    ),
    parts=("burst", "reads", "paced", "latency"),
    rounds=2,
    answers=150,
    slow_answers=20,
    paced_rounds=1,
    paced_tokens=200,
    streams=100,
    latency_tokens=50,
    price_rounds=1,
    effort=0.3,
    growth_rounds=1,
    turn_rounds=1,
    conversations=40,
    worker_rounds=2,
)
