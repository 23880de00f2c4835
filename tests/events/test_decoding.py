"""Events from JSON: what was encoded comes back; what is newer is passed over; what is wrong is said to be wrong."""

import json
from dataclasses import fields
from types import UnionType
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import Entry, Event, Message, RunFinished, TokenCount
from aiostream_server.events.codec import decode_event, encode_entry

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
def test_what_was_encoded_comes_back(cls: Any, data: st.DataObject) -> None:
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


def test_what_has_a_default_may_be_missing() -> None:
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
def test_what_is_no_event_is_said_to_be_none(body: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        decode_event(body)
