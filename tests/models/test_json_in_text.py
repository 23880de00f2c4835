"""The JSON in what a model wrote is found, and nothing is made up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.json_in_text import json_object, json_text

TRIP = '{"city": "Rome", "days": 3}'


@pytest.mark.parametrize(
    "text",
    [
        TRIP,
        f"  {TRIP}\n",
        f"\ufeff{TRIP}",
        f"```json\n{TRIP}\n```",
        f"```\n{TRIP}```",
        f"~~~JSON\r\n{TRIP}\r\n~~~",
        f"````json\n{TRIP}\n````",
        f"Here is the trip:\n\n```json\n{TRIP}\n```\nEnjoy {{Rome}}!",
        f"Here is the trip: {TRIP}",
        f"{TRIP}\n\nEnjoy!",
        f"I use {{braces}} and {{}}: {TRIP} Bye.",
        json.dumps(TRIP),
    ],
)
def test_json_alone_is_what_is_left(text: str) -> None:
    found = json_text(text)
    assert found is not None
    assert json.loads(found) == json.loads(TRIP)


@pytest.mark.parametrize(
    "text", ["", "Sorry, no.", '{"city": "Rome"', '{"a": {"b": 1}, "c": ', 'So: {"a": {"b": 1}, ', "{" * 9]
)
def test_what_is_no_json_or_is_cut_off_gives_none(text: str) -> None:
    """Not an object inside one that breaks off."""
    assert json_text(text) is None


def test_line_ends_in_strings_are_escaped() -> None:
    assert json_text('{"a": "b\nc"}') == '{"a": "b\\nc"}'


def test_json_is_left_as_it_was_written() -> None:
    assert json_text('[1, {"a":\t2.50}]') == '[1, {"a":\t2.50}]'


def test_several_objects_are_not_one() -> None:
    assert json_object('{"a": 1} {"b": 2}') is None
    assert json_object('{"a": 1} {"a": 1}') == {"a": 1}
    assert json_object("[1]") is None
    assert json_object('[{"a": 1}]') == {"a": 1}


json_objects = st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.lists(st.booleans())))


@given(json_objects, st.text("ab .\n"), st.text("ab .\n"))
def test_an_object_between_words_is_found(value: dict[str, object], before: str, after: str) -> None:
    found = json_text(f"{before}{json.dumps(value)}{after}")
    assert found is not None
    assert json.loads(found) == value


@given(st.text('{}[]",:`\n ab1'))
def test_any_text_is_answered(text: str) -> None:
    found = json_text(text)
    assert found is None or json.loads(found) is not ...
