"""Events as JSON lines and back: every kind comes back as it was; a newer server's events are ignored."""

import json
from dataclasses import fields
from types import UnionType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import (
    Action,
    ActionToken,
    Analysis,
    Answer,
    Dropped,
    Entry,
    Error,
    Event,
    InputRequested,
    Message,
    ModelCalled,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    RunStarted,
    Thinking,
    Token,
    TokenCount,
    ToolRequested,
    ToolResult,
    Usage,
    Validation,
    Waiting,
)
from aiostream_server.events.codec import WholeMessages, decode_event, encode_entry

EVERY: list[Event] = [
    RunStarted("auto"),
    Waiting("The model is busy, trying again in 2 s", "model", retry_in_s=2.0),
    Routing("Supervisor", "because", "data", "Data", 0.5, "rules"),
    Thinking("A", "hm"),
    Action("A", "t", "{}", "c"),
    ToolResult("A", "t", "x", "c"),
    Validation("A", "ok", approved=True),
    Analysis("A", "so"),
    Message("A", "hi"),
    Token("A", "h", "message"),
    ActionToken("A", "t", "{}", "c", for_client=True),
    ModelCalled("A", "m"),
    Usage("A", 1, 2),
    Answer("A", "hi"),
    InputRequested("A", "Shall I?"),
    ToolRequested("A", "t", "{}", "c"),
    Notice("A", "The team ended: at a limit", "team_ended"),
    Error("c", "m"),
    Restarted(2),
    Dropped(1),
    RunFinished("stop", TokenCount(1, 2) + TokenCount(3, 4), 0.5),
    Dropped(3),
]


def test_the_examples_hold_every_kind() -> None:
    assert {type(event) for event in EVERY} == set(get_args(Event))


@pytest.mark.parametrize("event", EVERY, ids=lambda event: event.type)
def test_the_keys_that_every_event_has(event: Event) -> None:
    body = json.loads(encode_entry("run-1", Entry(7, 1_700_000_000.25, event)))
    assert (body["seq"], body["run_id"], body["type"]) == (7, "run-1", event.type)
    assert body["timestamp"] == "2023-11-14T22:13:20.250+00:00"
    assert ("agent" in body) == hasattr(event, "agent")
    assert body.get("content") == getattr(event, "content", None)


def test_usage_is_a_json_object() -> None:
    body = json.loads(encode_entry("r", Entry(1, 0.0, EVERY[-2])))
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 6}


@given(st.text(st.characters()))
def test_any_text_is_one_line_of_ascii(text: str) -> None:
    line = encode_entry("r", Entry(1, 0.0, Message("A", text)))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["content"] == text


_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    float: st.floats(allow_nan=False, allow_infinity=False),  # as JSON is
    str: st.text(st.characters()),  # lone surrogates, too: a model may have written them
}


def _events(cls: Any) -> st.SearchStrategy[Event]:
    """Any event of the class, from the annotations of its fields."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{each.name: _value(hints[each.name]) for each in fields(cls)})


def _value(hint: Any) -> st.SearchStrategy[Any]:
    if isinstance(hint, UnionType):
        return st.one_of([_value(each) for each in get_args(hint)])
    return _VALUES[hint] if hint in _VALUES else st.from_type(hint)


@pytest.mark.parametrize("cls", get_args(Event), ids=lambda cls: cls.type)
@given(data=st.data())
def test_an_encoded_event_is_decoded_to_itself(cls: Any, data: st.DataObject) -> None:
    event = data.draw(_events(cls))
    line = encode_entry("run-1", Entry(1, 0.0, event))
    assert decode_event(json.loads(line)) == event


FINISHED = {"type": "run_finished", "reason": "stop", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}


def test_fields_of_a_newer_server_are_ignored() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 3}
    body = {**FINISHED, "usage": usage, "duration_s": 1, "mood": "good"}
    assert decode_event(body) == RunFinished("stop", TokenCount(1, 2), 1.0)


@pytest.mark.parametrize(
    "body", [{"type": "applause"}, {**FINISHED, "duration_s": 1.0, "reason": "bored"}], ids=["type", "word"]
)
def test_events_of_a_newer_server_are_none(body: dict[str, object]) -> None:
    assert decode_event(body) is None


def test_a_field_with_a_default_may_be_missing() -> None:
    assert decode_event({"type": "message", "agent": "A", "content": "hi"}) == Message("A", "hi")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "type: expected a string, got None"),
        ({"type": 1}, "type: expected a string, got 1"),
        ({"type": "message", "agent": "A"}, "message.content: is required"),
        ({"type": "message", "agent": "A", "content": 1}, "message.content: expected str, got int"),
        ({"type": "message", "agent": None, "content": ""}, "message.agent: expected str, got NoneType"),
        ({"type": "message", "agent": "A", "content": "", "streamed": 1}, "message.streamed: expected bool, got int"),
        ({"type": "usage", "agent": "A", "prompt_tokens": True}, "usage.prompt_tokens: expected int, got bool"),
        ({**FINISHED, "usage": 3, "duration_s": 1.0}, "run_finished.usage: expected TokenCount, got int"),
        ({**FINISHED, "usage": {"prompt_tokens": "1"}}, "run_finished.usage.prompt_tokens: expected int, got str"),
    ],
)
def test_a_malformed_event_is_an_error_that_names_the_field(body: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        decode_event(body)


def test_a_truncated_message_is_completed_by_its_tokens_and_its_answer_too() -> None:
    messages = WholeMessages()
    for text in ("one ", "two"):
        messages.complete(Token("A", text, "final"), truncated=False)
    message = messages.complete(Message("A", "on", streamed=True), truncated=True)
    answer = messages.complete(Answer("A", "on", streamed=True), truncated=True)
    assert (message, answer) == (Message("A", "one two", streamed=True), Answer("A", "one two", streamed=True))


def test_a_truncated_message_stays_a_beginning_for_a_reader_that_joined_later() -> None:
    assert WholeMessages().complete(Message("A", "on", True), truncated=True) == Message("A", "on", True)
