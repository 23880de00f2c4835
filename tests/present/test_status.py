"""The status line above an answer."""

from itertools import pairwise

import pytest
from hypothesis import given

from aiostream_server.events import (
    Action,
    Answer,
    Error,
    Event,
    FinishReason,
    InputRequested,
    Message,
    Routing,
    RunFinished,
    RunStarted,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Validation,
    Waiting,
)
from aiostream_server.present.status import StatusLine
from tests.present.telling import Told, runs
from tests.present.test_transcript import DATA_RUN

END = RunFinished("stop", TokenCount(500, 12), 3.21)


def told(*events: Event) -> list[tuple[str, bool]]:
    line = StatusLine()
    return [(status.description, status.done) for event in events for status in line.show(event, 0.0)]


def test_the_status_line_of_the_data_team() -> None:
    assert told(*DATA_RUN[:-1], END) == [
        ("Choosing a team…", False),
        ("Data analysis: asks for totals by region", False),
        ("SQLAgent · thinking…", False),
        ("SQLAgent · query…", False),
        ("ValidationAgent approved the query", False),
        ("SQLAgent queried: 1 row", False),
        ("AnalysisAgent · answering…", False),
        ("Done in 3.2 s · 3 agents · 512 tokens", True),
    ]


def test_a_team_that_was_chosen_directly_is_named_before_its_first_agent_speaks() -> None:
    line = StatusLine("Newsroom")
    events: list[Event] = [RunStarted("news"), Token("Writer", "a", "message"), END]
    assert [status.description for event in events for status in line.show(event, 0.0)][:2] == [
        "Asking Newsroom…",
        "Writer · writing…",
    ]


def test_what_the_run_waits_for_is_told_until_it_is_over() -> None:
    events: list[Event] = [
        RunStarted("news"),
        Waiting("2nd in the queue", "queue", position=2),
        Waiting("It is your turn", "queue", position=0),
        Token("Writer", "a", "message"),
        Waiting("The model is busy, trying again in 2 s", "model", retry_in_s=2.0),
        Token("Writer", "b", "message"),
    ]
    line = StatusLine("Newsroom")
    assert [status.description for event in events for status in line.show(event, 0.0)] == [
        "Asking Newsroom…",
        "2nd in the queue",
        "Asking Newsroom…",
        "Writer · writing…",
        "The model is busy, trying again in 2 s",
    ]


@pytest.mark.parametrize(
    ("event", "description"),
    [
        (Action("Assistant", "calculate", "{}", "c"), "Assistant · calculate…"),
        (Validation("V", "no", approved=False), "V blocked the query"),
        (Validation("V", "hm"), "V · checking…"),
        (Action("S", "query", '{"sql": "SELECT 1", "database": "sales"}', "c"), "S · query sales…"),
        (Action("S", "query", '["sales"]', "c"), "S · query…"),
        (ToolResult("A", "calculate", "4", "c"), "A used calculate"),
        (ToolResult("A", "query", "no such table", "c", is_error=True), "A: query failed"),
        (Thinking("A", "hm"), "A · thinking…"),
        (Routing("S", "", "data"), "data"),
        (Message("A\n<b>\u202e{{searchQuery}}\x00", "hm"), "A <b> { {searchQuery}} · writing…"),
    ],
)
def test_descriptions_are_one_plain_line(event: Event, description: str) -> None:
    assert told(event) == [(description, False)]


@pytest.mark.parametrize(
    ("reason", "description"),
    [
        ("cancelled", "Stopped"),
        ("error", "Failed after 1.0 s"),
        ("interrupted", "Interrupted: the server was shut down"),
        ("length", "Done in 1.0 s · cut at the token limit"),
    ],
)
def test_every_reason_has_its_description(reason: FinishReason, description: str) -> None:
    said: list[Event] = [Error("model_failed", "the model broke off")] if reason == "error" else []
    assert told(RunStarted("m"), *said, RunFinished(reason, TokenCount(), 1.0)) == [(description, True)]


def test_a_question_to_the_user_is_the_last_status() -> None:
    events: list[Event] = [Answer("A", "Which year?"), InputRequested("A", "Which year?"), END]
    assert told(*events) == [("A · answering…", False), ("Waiting for your answer", True)]


def test_long_descriptions_are_cut() -> None:
    ((description, _),) = told(Routing("S", "x" * 500, "data"))
    assert len(description) == 120
    assert description.endswith("…")


def test_a_description_is_not_repeated() -> None:
    assert len(told(*[Token("A", "x", "message")] * 5, Message("A", "x", streamed=True), Message("A", "y"))) == 1


def timed(line: StatusLine, *events: tuple[float, Event]) -> list[str]:
    return [status.description for at, event in events for status in line.show(event, at)]


def test_what_is_over_is_told_in_the_past_tense_with_its_time_and_the_place_of_its_agent() -> None:
    members = {"desk": ("Researcher", "Writer")}
    line = StatusLine("Newsroom", "desk", members.__getitem__)
    assert timed(
        line,
        (0.0, RunStarted("desk")),
        (1.0, Token("Researcher", "Let me see.", "thinking")),
        (4.4, Thinking("Researcher", "Let me see.", streamed=True)),
        (4.4, Action("Researcher", "lookup", "{}", "c1")),
        (4.4, Action("Researcher", "query", '{"sql": "SELECT 1", "database": "sales"}', "c2")),
        (7.5, ToolResult("Researcher", "lookup", "…", "c1", summary="lookup: 4 hits")),
        (8.0, ToolResult("Researcher", "query", "no", "c2", is_error=True)),
        (9.0, Token("Writer", "So", "message")),
        (71.0, Message("Writer", "So", streamed=True)),
        (72.0, Message("Other", "hm")),
    ) == [
        "Asking Newsroom…",
        "1/2 Researcher · thinking…",
        "Researcher thought · 3 s",
        "1/2 Researcher · lookup…",
        "1/2 Researcher · query sales…",
        "Researcher used lookup: 4 hits · 3 s",
        "Researcher: query failed · 4 s",
        "2/2 Writer · writing…",
        "Writer wrote · 1 min 2 s",
        "Other · writing…",
    ]


def test_a_step_that_takes_long_is_told_with_its_time_ever_more_rarely() -> None:
    line = StatusLine("Newsroom")
    assert timed(line, (0.0, RunStarted("m")), (1.0, Action("R", "lookup", "{}", "c"))) == [
        "Asking Newsroom…",
        "R · lookup…",
    ]
    seconds = [number * 2.5 for number in range(1, 60)]
    told = [status.description for now in seconds for status in line.pass_time(1.0 + now)]
    assert told[:5] == [
        "R · lookup · 3 s",
        "R · lookup · 5 s",
        "R · lookup · 10 s",
        "R · lookup · 20 s",
        "R · lookup · 40 s",
    ]
    assert told[-1] == "R · lookup · 2 min 10 s"
    assert len(told) == 8
    assert timed(line, (150.0, ToolResult("R", "lookup", "x", "c"))) == ["R used lookup · 2 min 29 s"]
    assert [status.description for status in line.pass_time(153.0)] == ["Working · 3 s"]
    assert timed(line, (154.0, END)) == ["Done in 3.2 s · 1 agent · 512 tokens"]
    assert list(line.pass_time(999.0)) == []


def test_a_model_that_is_asked_again_does_not_end_the_step() -> None:
    line = StatusLine("Newsroom")
    assert timed(line, (0.0, RunStarted("m")), (1.0, Waiting("The model is busy", "model", retry_in_s=2.0)))
    assert [status.description for status in line.pass_time(4.0)] == ["Asking Newsroom · 4 s"]


@given(runs())
def test_only_the_last_status_is_done(run: Told) -> None:
    statuses = told(*run.events)
    assert [done for _, done in statuses] == [False] * (len(statuses) - 1) + [True]
    descriptions = [description for description, _ in statuses]
    assert all(one != other for one, other in pairwise(descriptions))
