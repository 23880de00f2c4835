"""What the recorder has heard agents say, so that it can drop what AutoGen repeats later."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiostream_server.events import SpeechKind

_MOST_APART: Final = 1_000  # texts


@dataclass(slots=True)
class Utterance:
    """A message that is being streamed."""

    kind: SpeechKind
    is_thought: bool
    _said: list[str] = field(default_factory=list, init=False)
    _joined: int = field(default=0, init=False)  # so many of them are texts that were joined

    @property
    def text(self) -> str:
        return "".join(self._said)

    def add(self, texts: Sequence[str]) -> None:
        """Shares the latest texts with the log, and joins earlier ones: a million tokens take ten times as much."""
        self._said += texts
        if len(self._said) - self._joined > _MOST_APART:
            self._said[self._joined :] = ["".join(self._said[self._joined :])]
            self._joined += 1


@dataclass(slots=True)
class HeardSpeech:
    """One agent's words. AutoGen repeats as whole messages what was streamed.

    `heard` are messages of our own model clients that AutoGen will repeat, perhaps several turns later; `closed` are
    messages of this turn that came as AutoGen's chunks. `is_tapped`: any of it came from our own clients.
    """

    open: Utterance | None = None
    heard: list[str] = field(default_factory=list)
    closed: list[Utterance] = field(default_factory=list)
    is_tapped: bool = False

    def hear_again(self, text: str) -> bool:
        """Whether these words were heard. If so, they and what came before them are no longer expected."""
        stripped = text.strip()
        for index, said in enumerate(self.heard):
            if said.strip() == stripped:
                del self.heard[: index + 1]
                return True
        return False

    def has_thought(self, text: str) -> bool:
        """Whether these words were heard, or a longer text that contains them (AutoGen cuts off ends)."""
        stripped = text.strip()
        closed = (utterance.text for utterance in self.closed)
        return any(stripped in said for said in (*self.heard, *closed))

    def end_turn(self) -> str:
        """What came as chunks since the last turn, without thoughts."""
        text = "".join(utterance.text for utterance in self.closed if not utterance.is_thought)
        self.closed.clear()
        return text
