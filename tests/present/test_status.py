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
    return [(status.description, status.done) for event in events for status in line.show(event)]


def test_the_status_line_of_the_data_team() -> None:
    assert told(*DATA_RUN[:-1], END) == [
        ("Choosing a team…", False),
        ("Data analysis: asks for totals by region", False),
        ("SQLAgent is thinking…", False),
        ("SQLAgent is querying…", False),
        ("ValidationAgent approved the query", False),
        ("1 row", False),
        ("AnalysisAgent is answering…", False),
        ("Done in 3.2 s · 3 agents · 512 tokens", True),
    ]


def test_a_team_that_was_chosen_directly_is_named_before_its_first_agent_speaks() -> None:
    line = StatusLine("Newsroom")
    events: list[Event] = [RunStarted("news"), Token("Writer", "a", "message"), END]
    assert [status.description for event in events for status in line.show(event)][:2] == [
        "Asking Newsroom…",
        "Writer is writing…",
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
    assert [status.description for event in events for status in line.show(event)] == [
        "Asking Newsroom…",
        "2nd in the queue",
        "Asking Newsroom…",
        "Writer is writing…",
        "The model is busy, trying again in 2 s",
    ]


@pytest.mark.parametrize(
    ("event", "description"),
    [
        (Action("Assistant", "calculate", "{}", "c"), "Assistant is using calculate…"),
        (Validation("V", "no", approved=False), "V blocked the query"),
        (Validation("V", "hm"), "V is checking…"),
        (Action("S", "query", '{"sql": "SELECT 1", "database": "sales"}', "c"), "S is querying sales…"),
        (Action("S", "query", '["sales"]', "c"), "S is querying…"),
        (ToolResult("A", "calculate", "4", "c"), "calculate answered"),
        (ToolResult("A", "query", "no such table", "c", is_error=True), "query failed"),
        (Thinking("A", "hm"), "A is thinking…"),
        (Routing("S", "", "data"), "data"),
        (Message("A\n<b>\u202e{{searchQuery}}\x00", "hm"), "A <b> { {searchQuery}} is writing…"),
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
    assert told(*events) == [("A is answering…", False), ("Waiting for your answer", True)]


def test_long_descriptions_are_cut() -> None:
    ((description, _),) = told(Routing("S", "x" * 500, "data"))
    assert len(description) == 120
    assert description.endswith("…")


def test_a_description_is_not_repeated() -> None:
    assert len(told(*[Token("A", "x", "message")] * 5, Message("A", "x", streamed=True), Message("A", "y"))) == 1


@given(runs())
def test_only_the_last_status_is_done(run: Told) -> None:
    statuses = told(*run.events)
    assert [done for _, done in statuses] == [False] * (len(statuses) - 1) + [True]
    descriptions = [description for description, _ in statuses]
    assert all(one != other for one, other in pairwise(descriptions))
