"""The input and the output of routing: the teams to choose from, and the decision.

Two ids have built-in rules: `general` (answers and calculates) and `data` (answers from SQL databases). Other teams are
recognised by the words of their descriptions and examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

GENERAL: Final = "general"
DATA: Final = "data"

Strategy: TypeAlias = Literal["rules", "model", "fallback"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One team: a sentence on its purpose, and examples of questions for it."""

    id: str
    name: str
    description: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """`team` is the id of one of the candidates; `reason` is a few words for people, on one line.

    `confidence`, from 0 to 1, is the estimated probability that the decision is right. It is low for a fallback.
    """

    team: str
    confidence: float
    reason: str
    strategy: Strategy


def fallback_team(candidates: Sequence[Candidate], preferred: str | None = None) -> str:
    """The team for an undecided question: the preferred one, else the general one, else the first."""
    ids = [candidate.id for candidate in candidates]
    return next((wanted for wanted in (preferred, GENERAL) if wanted in ids), ids[0])
