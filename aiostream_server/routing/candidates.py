"""Who may be chosen, and what was chosen.

A router sees teams only as `Candidate`s: the caller makes them from its catalogue. Two ids have built-in rules:
`general` (answers and calculates) and `data` (answers from SQL databases). Any other team is known by its words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

GENERAL: Final = "general"
DATA: Final = "data"

Strategy: TypeAlias = Literal["rules", "model", "fallback"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One team: what it is for, in a sentence, and questions that it is meant for."""

    id: str
    name: str
    description: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`team` is the id of one of the candidates; `reason` is a few words for a person, on one line.

    `confidence` is the decider's own estimate, 0 to 1, that it is right. A fallback never claims to be sure.
    """

    team: str
    confidence: float
    reason: str
    strategy: Strategy


def fallback_team(candidates: Sequence[Candidate], preferred: str | None = None) -> str:
    """Where a question goes that nothing decides: the preferred team, else the general one, else the first."""
    ids = [candidate.id for candidate in candidates]
    return next((wanted for wanted in (preferred, GENERAL) if wanted in ids), ids[0])
