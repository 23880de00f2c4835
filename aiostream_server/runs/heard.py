"""What the recorder has heard of agents and tools, so that it can drop what AutoGen repeats later."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from autogen_core import FunctionCall

from aiostream_server.events import SpeechKind

_MOST_APART: Final = 1_000  # texts
_CallKey: TypeAlias = tuple[str, str]  # the agent and the call's id: two agents may use the same ids


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


class HeardCalls:
    """One run's tool calls. Ids may come again: some models number the calls of each answer from 0."""

    def __init__(self) -> None:
        self._tools: Final[dict[_CallKey, str]] = {}  # in the order of the calls
        self._answered: Final[dict[_CallKey, None]] = {}  # an empty set takes three times the memory
        self._told_early: Final[Counter[_CallKey]] = Counter()

    @property
    def unanswered(self) -> frozenset[str]:
        """The tools that were called and have not answered."""
        return frozenset(tool for call, tool in self._tools.items() if call not in self._answered)

    def __bool__(self) -> bool:
        """Whether a tool was called."""
        return bool(self._tools)

    def __contains__(self, call: _CallKey) -> bool:
        return call in self._tools

    def are_answered(self, calls: set[_CallKey]) -> bool:
        return calls <= self._answered.keys()

    def called(self, agent: str, call: FunctionCall) -> None:
        key = agent, call.id
        self._tools.pop(key, None)  # it becomes the last one
        self._tools[key] = call.name
        self._answered.pop(key, None)

    def told_early(self, agent: str, call_id: str) -> None:
        """AutoGen will tell of this call again."""
        self._told_early[agent, call_id] += 1

    def is_repeated(self, agent: str, call_id: str) -> bool:
        """Whether a call that AutoGen tells of was told early. Each early call counts once."""
        if not self._told_early[agent, call_id]:
            return False
        self._told_early[agent, call_id] -= 1
        return True

    def is_first_answer(self, agent: str, call_id: str) -> bool:
        """Whether the call had no answer yet. It has one from now on.

        The call is the agent's own; if it made none with this id, the last one with this id of any agent: another agent
        may execute or judge it.
        """
        call = agent, call_id
        if call not in self._tools:
            call = next((made for made in reversed(self._tools) if made[1] == call_id), call)
        is_first = call not in self._answered
        self._answered[call] = None
        return is_first
