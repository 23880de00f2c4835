"""What a run is asked for with, how it is told, and that the events' schemas say what events look like."""

import json
from typing import Any

import pytest
from jsonschema_rs import validator_for
from pydantic import ValidationError

from aiostream_server.events import (
    EVENTS,
    Action,
    Answer,
    Dropped,
    Entry,
    Error,
    Event,
    Message,
    Routing,
    RunFinished,
    Token,
    TokenCount,
    ToolResult,
    Validation,
)
from aiostream_server.events.codec import encode_entry
from aiostream_server.intake.body import first_problem
from aiostream_server.intake.json_text import decode
from aiostream_server.protocols.runs.openapi import component, event_schemas
from aiostream_server.protocols.runs.request import RunBody
from aiostream_server.protocols.runs.whole import RunCollector, runs_body
from aiostream_server.runs.card import RunCard

HI = {"role": "user", "content": "hi"}
CARD = RunCard("run-1", "auto", None, None, "continue", 17.9, 1, None, None)
NAMES = [component(kind) for kind in EVENTS]


def run_body(card: RunCard) -> Any:
    return json.loads(RunCollector(card, "/api").body())


def body(**fields: Any) -> RunBody:
    return RunBody.model_validate({"model": "auto", "messages": [HI], **fields})


def test_the_least_request_is_a_chat_request() -> None:
    least = body()
    assert (least.background, least.on_disconnect, least.conversation) == (False, None, None)
    assert body(background=None, on_disconnect=None, conversation=None) == least
    assert body(temperature=0.5).temperature == 0.5


@pytest.mark.parametrize(
    ("field", "wrong", "complaint"),
    [
        ("background", "yes", "expected true or false, got a string"),
        ("background", 1, "expected true or false, got a number"),
        ("on_disconnect", "stop", "expected 'cancel' or 'continue', got 'stop'"),
        ("conversation", "", "must not be empty"),
        ("conversation", "x" * 256, "must be at most 255 characters long"),
        ("conversation", 7, "expected a string, got a number"),
    ],
)
def test_a_wrong_field_is_named(field: str, wrong: Any, complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        body(**{field: wrong})
    problem = first_problem(caught.value)
    assert (problem.param, str(problem)) == (field, f"{field}: {complaint}")


def test_a_conversation_may_be_255_characters_long() -> None:
    assert body(conversation="ü" * 255).conversation == "ü" * 255


@pytest.mark.parametrize("character", ["\x00", "\n", "\x7f", "\x85"])
def test_a_conversation_has_no_control_characters(character: str) -> None:
    with pytest.raises(ValidationError) as caught:
        body(conversation=f"a{character}b")
    assert first_problem(caught.value).param == "conversation"


def test_a_live_run_says_null_for_what_is_not_known_yet() -> None:
    assert run_body(CARD) == {
        "id": "run-1",
        "object": "run",
        "status": "running",
        "reason": None,
        "model": "auto",
        "question": "",
        "team": None,
        "conversation": None,
        "on_disconnect": "continue",
        "created_at": 17,
        "duration_s": None,
        "usage": None,
        "last_seq": 1,
        "error": None,
        "events_url": "/api/v1/runs/run-1/events",
    }


def test_a_failed_run_says_why() -> None:
    finished = RunFinished("error", TokenCount(3, 4), 1.5)
    card = RunCard("run-1", "data", "data", "c", "cancel", 17.0, 9, finished, Error("model_failed", "no"))
    told = run_body(card)
    assert told["status"] == "finished"
    assert told["reason"] == "error"
    assert told["error"] == {"code": "model_failed", "message": "no"}
    assert told["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert told["duration_s"] == 1.5
    assert json.loads(runs_body([card, CARD], "/api")) == {"object": "list", "data": [told, run_body(CARD)]}


def test_a_body_follows_the_entries_that_it_was_given() -> None:
    collector = RunCollector(CARD)
    collector.add([Entry(2, 0.0, Routing("Supervisor", "data", "data")), Entry(3, 0.0, Error("model_failed", "no"))])
    collector.add([Entry(4, 0.0, RunFinished("error", TokenCount(), 1.5))])
    told = json.loads(collector.body())
    assert (told["team"], told["last_seq"], told["status"], told["reason"]) == ("data", 4, "finished", "error")
    assert told["error"] == {"code": "model_failed", "message": "no"}


def test_every_event_has_a_schema() -> None:
    schemas = event_schemas()
    assert [schemas[name]["properties"]["type"]["const"] for name in NAMES] == list(EVENTS)


@pytest.mark.parametrize(
    "event",
    [
        Routing("Supervisor", "?"),
        Routing("Supervisor", "data", "data", "Data", 0.9, "rules"),
        Token("A", "hi", "final"),
        Action("A", "query", "{}", "c1"),
        ToolResult("A", "query", "4", "c1", truncated=True),
        Validation("V", "ok", approved=True),
        Message("A", "x" * 100_000, streamed=True),
        Answer("A", "done"),
        Error("model_failed", "no"),
        Dropped(3),
        RunFinished("stop", TokenCount(1, 2), 0.5),
    ],
)
def test_an_event_is_what_its_schema_says_and_no_others(event: Event) -> None:
    told = decode(encode_entry("run-1", Entry(7, 1.0, event)).encode())
    components = {"components": {"schemas": event_schemas()}}
    matching = [
        name for name in NAMES if validator_for({"$ref": f"#/components/schemas/{name}", **components}).is_valid(told)
    ]
    assert matching == [component(event.type)]
