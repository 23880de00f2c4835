"""What one agent is saying, and what AutoGen is going to say again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO

from aiostream_server.events import SPEECHES, Message, Said, SpeechKind


@dataclass(slots=True)
class Utterance:
    """A message that is being streamed."""

    kind: SpeechKind
    is_thought: bool
    _said: StringIO = field(
        default_factory=StringIO, init=False
    )  # a list of a million tokens would take ten times as much

    @property
    def text(self) -> str:
        return self._said.getvalue()

    def add(self, texts: Sequence[str]) -> None:
        self._said.writelines(texts)


@dataclass(slots=True)
class Speech:
    """One agent's.

    AutoGen repeats as whole messages what was streamed: `heard` is what to expect again from our own model clients,
    which are ahead of it by any number of turns; `closed` is what came as chunks, in the turn that it goes on in.
    `is_tapped` tells whether any of it came from our clients.
    """

    open: Utterance | None = None
    heard: list[str] = field(default_factory=list)
    closed: list[Utterance] = field(default_factory=list)
    is_tapped: bool = False

    def hear_again(self, text: str) -> bool:
        """Whether these words were heard. They, and what came before them, are not expected any more."""
        stripped = text.strip()
        for index, said in enumerate(self.heard):
            if said.strip() == stripped:
                del self.heard[: index + 1]
                return True
        return False

    def has_thought(self, text: str) -> bool:
        """Whether these words were heard, or a longer text that they were cut from (AutoGen cuts off ends)."""
        stripped = text.strip()
        closed = (utterance.text for utterance in self.closed)
        return any(stripped in said for said in (*self.heard, *closed))

    def end_turn(self) -> str:
        """What was said as chunks since the last turn, thoughts apart."""
        text = "".join(utterance.text for utterance in self.closed if not utterance.is_thought)
        self.closed.clear()
        return text


def whole_message(kind: SpeechKind, agent: str, text: str, *, streamed: bool) -> Said:
    """The whole-message event of a kind. `final` is for tokens: the answer is told once, when the run is over."""
    speech = Message if kind == "final" else SPEECHES[kind]
    return speech(agent=agent, content=text, streamed=streamed)
