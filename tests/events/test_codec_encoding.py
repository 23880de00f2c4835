"""Events as JSON: one line, the four public keys, every class."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import (
    Action,
    Analysis,
    Answer,
    Dropped,
    Entry,
    Error,
    Event,
    InputRequested,
    Message,
    Routing,
    RunFinished,
    RunStarted,
    Thinking,
    Token,
    TokenCount,
    ToolResult,
    Usage,
    Validation,
)
from aiostream_server.events.codec import encode_entry

EVERY: list[Event] = [
    RunStarted("auto"),
    Routing("Supervisor", "because", "data", "Data", 0.5, "rules"),
    Thinking("A", "hm"),
    Action("A", "t", "{}", "c"),
    ToolResult("A", "t", "x", "c"),
    Validation("A", "ok", approved=True),
    Analysis("A", "so"),
    Message("A", "hi"),
    Token("A", "h", "message"),
    Usage("A", 1, 2),
    Answer("A", "hi"),
    InputRequested("A", "Shall I?"),
    Error("c", "m"),
    Dropped(1),
    RunFinished("stop", TokenCount(1, 2) + TokenCount(3, 4), 0.5),
    Dropped(3),
]


def test_every_class_is_here() -> None:
    assert {type(event) for event in EVERY} == set(get_args(Event))


@pytest.mark.parametrize("event", EVERY, ids=lambda event: event.type)
def test_what_every_event_has(event: Event) -> None:
    body = json.loads(encode_entry("run-1", Entry(7, 1_700_000_000.25, event)))
    assert (body["seq"], body["run_id"], body["type"]) == (7, "run-1", event.type)
    assert body["timestamp"] == "2023-11-14T22:13:20.250+00:00"
    assert ("agent" in body) == hasattr(event, "agent")
    assert body.get("content") == getattr(event, "content", None)


def test_usage_is_an_object() -> None:
    body = json.loads(encode_entry("r", Entry(1, 0.0, EVERY[-2])))
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 6}


@given(st.text(st.characters()))
def test_any_text_is_one_line_of_ascii(text: str) -> None:
    line = encode_entry("r", Entry(1, 0.0, Message("A", text)))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["content"] == text
