"""What the models of the zoo say: the stories of the examples, in two turns, the same for every vendor.

A vendor decides how it is said: in which fields, pieces and order, and what it takes before it answers.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.examples.telling import STORIES, Story
from tests.kit.scripted_provider import Call, Reply, ScriptedAnswer

TURNS: Final = 2

MEANWHILE: Final = frozenset({"graph"})
"""Teams with agents that speak at the same time: which of them is heard first differs from run to run."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. `thought` is for vendors that show their reasoning; it is another one each time."""

    text: str
    thought: str
    calls: Sequence[tuple[str, str]] = ()
    """Name and JSON arguments."""

    @property
    def pieces(self) -> Sequence[str]:
        """The text as tokens."""
        return [self.text[at : at + 7] for at in range(0, len(self.text), 7)]


def questions(team: str) -> Sequence[str]:
    """Two turns at least: a story of one question is told twice."""
    asked = STORIES[team].questions
    return asked if len(asked) >= TURNS else [*asked, *asked]


class Mind:
    """Plays one question of a story after the other."""

    def __init__(self) -> None:
        self.thoughts: list[str] = []
        self._told: dict[str, Callable[[Mapping[str, Any]], Reply]] = {}
        self._tell: Callable[[Mapping[str, Any]], Reply] = _silent

    def play(self, team: str, turn: int) -> None:
        """Before each question."""
        story: Story = STORIES[team]
        if turn % len(story.questions) == 0:
            self._told[team] = story.told()
        self._tell = self._told[team]

    def answer(self, body: Mapping[str, Any]) -> Said:
        """Raises `LookupError` where the model is asked more often than the story has answers."""
        told = self._tell(body)
        assert isinstance(told, ScriptedAnswer)
        self.thoughts.append(f"This is thought {len(self.thoughts) + 1}.")
        calls = [(step.name, _json(step.arguments)) for step in told.steps if isinstance(step, Call)]
        text = "".join(step for step in told.steps if isinstance(step, str))
        return Said(text, self.thoughts[-1], calls)


def _json(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _silent(_: Mapping[str, Any]) -> Reply:
    raise LookupError("no story is played")
