"""What a run is asked for with, how it is told, and that the events' schemas say what events look like."""

from typing import Any, get_args

import pytest
from jsonschema_rs import validator_for
from pydantic import ValidationError

from aiostream_server.events import (
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
from aiostream_server.wire.event_schemas import EVENT_KINDS, event_names, event_schemas
from aiostream_server.wire.json_text import canonical, decode
from aiostream_server.wire.problems import first_problem
from aiostream_server.wire.runs import RunBody, RunCard, run_body, runs_body

HI = {"role": "user", "content": "hi"}
CARD = RunCard("run-1", "/api/v1/runs/run-1", "auto", None, None, "continue", 17, 1, None, None)


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
    card = RunCard(
        "run-1", "/v1/runs/run-1", "data", "data", "c", "cancel", 17, 9, finished, Error("model_failed", "no")
    )
    told = run_body(card)
    assert told["status"] == "finished"
    assert told["reason"] == "error"
    assert told["error"] == {"code": "model_failed", "message": "no"}
    assert told["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert told["duration_s"] == 1.5
    assert runs_body([card, CARD]) == {"object": "list", "data": [told, run_body(CARD)]}


def test_every_event_has_a_schema() -> None:
    schemas = event_schemas()
    assert set(event_names()) < set(schemas)
    assert [schemas[name]["properties"]["type"]["const"] for name in event_names()] == list(EVENT_KINDS)
    assert len(EVENT_KINDS) == len(get_args(Event)) == len(set(EVENT_KINDS))


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
        name
        for name in event_names()
        if validator_for({"$ref": f"#/components/schemas/{name}", **components}).is_valid(told)
    ]
    assert matching == ["".join(map(str.title, event.type.split("_"))) + "Event"]


def test_equal_values_have_the_same_canonical_bytes() -> None:
    assert canonical({"a": 1, "b": {"c": 2, "d": [1, 2]}}) == canonical({"b": {"d": [1, 2], "c": 2}, "a": 1})
    assert canonical({"a": [1, 2]}) != canonical({"a": [2, 1]})
    assert canonical({"a": "1"}) != canonical({"a": 1})
