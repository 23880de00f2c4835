"""What one agent is saying, and what it has said in this turn."""

from dataclasses import dataclass, field

from aiostream_server.events import SpeechKind


@dataclass(slots=True)
class Utterance:
    """A message that is being streamed."""

    kind: SpeechKind
    is_thought: bool
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Speech:
    """One agent's. AutoGen repeats as whole messages what was streamed: `heard` is what to expect again."""

    open: Utterance | None = None
    heard: list[str] = field(default_factory=list)
    has_streamed: bool = False

    def was_heard(self, text: str) -> bool:
        """Whether these words came before. Asked once for each whole message, which ends the turn."""
        stripped = text.strip()
        known = not stripped or any(stripped == said.strip() for said in self.heard)
        self.heard.clear()
        self.has_streamed = False
        return known
