"""What the scripted provider is to say: the question itself tells it, as JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Plan:
    """`tokens` tokens, one every `pause_s`, each with its number and the time at which it left, filled up to `size`
    characters. Those who name a `gate` begin together, once `gate_of` have come, spread evenly over one pause.
    """

    tokens: int
    pause_s: float = 0.0
    size: int = 0
    ends: Literal["finished", "refused", "broken off"] = "finished"
    gate: str = ""
    gate_of: int = 0

    def question(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, question: str) -> "Plan":
        return cls(**json.loads(question))


ENDLESS = Plan(tokens=1_000_000, pause_s=0.5)
