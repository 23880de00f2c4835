"""Plausible runs for hypothesis: agents that speak in turn or at once, with tools, errors and unfinished messages."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from aiostream_server.events import (
    Action,
    Analysis,
    Answer,
    Error,
    Event,
    Message,
    RunFinished,
    RunStarted,
    Said,
    SpeechKind,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Usage,
    Validation,
)

AGENTS = ("Ann", "Bob", "Cy")
ANSWERER = "Ann"

_WORDS = st.text(st.characters(exclude_characters="⟦⟧<`", exclude_categories=["Cs"]), max_size=5)
_KINDS: st.SearchStrategy[SpeechKind] = st.sampled_from(["thinking", "validation", "analysis", "message"])


@dataclass(frozen=True, slots=True)
class Told:
    """A run's events; `marks` are the unique words of each agent, in order."""

    events: Sequence[Event]
    marks: dict[str, list[str]]
    final: Answer | None


@st.composite
def runs(draw: st.DrawFn, *, at_once: bool = True) -> Told:
    """Every token and whole message holds one mark, `⟦agent number⟧`, which is nowhere else."""
    marks: dict[str, list[str]] = {agent: [] for agent in AGENTS}
    turns = {agent: draw(_turns(agent, marks[agent])) for agent in AGENTS}
    events = _interleaved(draw, turns) if at_once else [event for turn in turns.values() for event in turn]
    is_broken = draw(st.booleans())
    if is_broken and draw(st.booleans()):
        events = events[: draw(st.integers(0, len(events)))]
    final = None if is_broken else _final(events)
    told = "".join(getattr(event, "content", "") for event in events)
    end: list[Event] = [Error("team_failed", "it broke")] if is_broken else [final] if final else []
    finished = RunFinished("error" if is_broken else "stop", TokenCount(), 0.1)
    heard = {agent: [mark for mark in mine if mark in told] for agent, mine in marks.items()}
    return Told([RunStarted("m"), *events, *end, finished], heard, final)


@st.composite
def _turns(draw: st.DrawFn, agent: str, marks: list[str]) -> list[Event]:
    def words() -> str:
        marks.append(f"⟦{agent} {len(marks)}⟧")
        return marks[-1] + draw(_WORDS)

    events: list[Event] = []
    for number in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(["stream", "stream", "whole", "tool", "usage"])):
            case "stream":
                kind: SpeechKind = draw(_KINDS)
                shown: SpeechKind = "final" if agent == ANSWERER and kind != "thinking" else kind
                tokens = [words() for _ in range(draw(st.integers(1, 4)))]
                events += [Token(agent, token, shown) for token in tokens]
                events.append(whole(kind, agent, "".join(tokens), streamed=True))
            case "whole":
                events.append(whole(draw(_KINDS), agent, words(), streamed=False))
            case "tool":
                events.append(Action(agent, "tool", "{}", f"{agent}{number}"))
                events.append(ToolResult(agent, "tool", "done", f"{agent}{number}"))
            case _:
                events.append(Usage(agent, 1, 1))
    return events


def whole(kind: SpeechKind, agent: str, text: str, *, streamed: bool) -> Said:
    match kind:
        case "thinking":
            return Thinking(agent, text, streamed)
        case "validation":
            return Validation(agent, text, None, streamed)
        case "analysis":
            return Analysis(agent, text, streamed)
        case _:
            return Message(agent, text, streamed)


def _interleaved(draw: st.DrawFn, turns: dict[str, list[Event]]) -> list[Event]:
    waiting = {agent: list(events) for agent, events in turns.items()}
    events: list[Event] = []
    while any(waiting.values()):
        agent = draw(st.sampled_from([agent for agent, left in waiting.items() if left]))
        events.append(waiting[agent].pop(0))
    return events


def _final(events: Sequence[Event]) -> Answer | None:
    """As a real run tells it: the last message of the answering agent, or else of any agent."""
    said = [event for event in events if isinstance(event, Validation | Analysis | Message)]
    by_answerer = [event for event in said if event.agent == ANSWERER]
    if not said:
        return None
    last = (by_answerer or said)[-1]
    return Answer(last.agent, last.content, last.streamed and last.agent == ANSWERER)
