"""Random runs for every protocol: those of `tests.present.telling`, and in them routing, notices and questions."""

from collections.abc import Sequence

from hypothesis import strategies as st

from aiostream_server.events import (
    Action,
    ActionToken,
    Dropped,
    Entry,
    Error,
    Event,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    ToolRequested,
    ToolResult,
    Waiting,
)
from aiostream_server.runs.card import RunCard
from tests.present.telling import Told, runs

CARD = RunCard("run-1", "auto", None, "talk", "continue", 17.5, 0, None, None)

_ANYWHERE: st.SearchStrategy[Event] = st.one_of(
    st.just(Waiting("waits", "queue", 2)),
    st.just(Routing("Supervisor", "sums", "data", "Data", 0.9, "rules")),
    st.just(Notice("Ann", "cut off", "length")),
    st.just(ActionToken("Bob", "query", '{"sql": ', "call_1")),
    st.just(ActionToken("Bob", "query", '"SELECT', "call_1")),
    st.just(ActionToken("Ann", "place0", "{", "call_p0", for_client=True)),
    st.just(ActionToken("Ann", "place2", "{", "call_p2", for_client=True)),
    st.just(Action("Bob", "query", '{"sql": "SELECT 1"}', "call_1")),
    st.just(Action("Ann", "place2", "{}", "call_p2")),
    st.just(ToolResult("Ann", "place2", "no such place", "call_p2", is_error=True)),
    st.just(Action("Cy", "query", '{"sql": "SEL', "call_1", truncated=True)),
    st.just(ToolResult("Database", "query", "| a |\n| --- |\n| 1 |", "call_1", summary="1 row")),
    st.just(ToolResult("Bob", "query", "no such table", "call_1", is_error=True)),
)


@st.composite
def told_runs(draw: st.DrawFn) -> Sequence[Entry]:
    """A whole log, from its first event or from the first that it still holds; or of a run that began twice."""
    told: Told = draw(runs())
    events = list(told.events)
    for event in draw(st.lists(_ANYWHERE, max_size=5)):
        events.insert(draw(st.integers(1, len(events) - 1)), event)
    if told.final is not None:
        events[-1:] = draw(st.sampled_from(_ENDINGS))(events[-1])
    if draw(st.booleans()):
        first = draw(st.integers(1, len(events) - 1))
        events[:first] = [Dropped(1)]
        return [Entry(first + index, 17.5 + index, event) for index, event in enumerate(events)]
    if draw(st.booleans()):
        broken = draw(runs()).events
        count = draw(st.integers(1, len(broken) - 1))
        events = [*broken[:count], Dropped(count + 1), Restarted(2), *events[1:]]
        return [Entry(1 + index + 99 * (index >= count), 17.5 + index, event) for index, event in enumerate(events)]
    return [Entry(1 + index, 17.5 + index, event) for index, event in enumerate(events)]


def _asks(finished: Event) -> list[Event]:
    return [InputRequested("Ann", "May I?", is_approval=True), finished]


def _asks_anything(finished: Event) -> list[Event]:
    return [InputRequested("Ann", "Which year?"), finished]


def _calls(finished: Event) -> list[Event]:
    assert isinstance(finished, RunFinished)
    calls: list[Event] = [ToolRequested("Ann", f"place{number}", "{}", f"call_p{number}") for number in range(2)]
    return [*calls, RunFinished("tool_calls", finished.usage, finished.duration_s)]


def _ends(finished: Event) -> list[Event]:
    return [finished]


def _is_stopped(finished: Event) -> list[Event]:
    assert isinstance(finished, RunFinished)
    return [RunFinished("cancelled", finished.usage, finished.duration_s)]


def _is_interrupted(finished: Event) -> list[Event]:
    assert isinstance(finished, RunFinished)
    return [Error("overloaded", "later"), RunFinished("interrupted", finished.usage, finished.duration_s)]


_ENDINGS = (_ends, _ends, _asks, _asks_anything, _calls, _is_stopped, _is_interrupted)
