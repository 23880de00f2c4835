"""What was asked so far: it decides which tables of a large schema the agents read."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class AskedSoFar:
    """The user's questions, oldest first, and the statements that were written for them."""

    questions: Sequence[str] = ()
    statements: Sequence[str] = ()


current_questions: Final[ContextVar[Sequence[str]]] = ContextVar("current_questions", default=())
"""The user's questions of the conversation that the run answers, oldest first."""
