"""A tool call becomes regular where it enters: its name one of the offered tools', its arguments an object."""

import json
from typing import Any, Final

import pytest
from autogen_core.tools import ToolSchema
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.call_repair import UNNAMED, regular_arguments, regular_name


def tool(name: str, **properties: Any) -> ToolSchema:
    return {"name": name, "parameters": {"type": "object", "properties": properties}}


TOOLS: Final = [tool("query", sql={"type": "string"}), tool("get_time"), tool("transfer_to_bob")]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("query", "query"),
        ("functions.query<|channel|>commentary", "query"),
        ("functions.query", "query"),
        ("query<|channel|>json", "query"),
        ("query<|constrain|>json", "query"),
        ("query commentary", "query"),
        ("<|channel|>commentary to=functions.query", "query"),
        ("commentary to=functions.query<|constrain|>json", "query"),
        ("functions.query:0", "query"),
        ("default_api:query", "query"),
        (" query\n", "query"),
        ("Query", "query"),
        ("QUERY", "query"),
        ("getTime", "get_time"),
        ("get-time", "get_time"),
        ("get time", "get_time"),
        ("functions.Get-Time<|channel|>final", "get_time"),
        ("Transfer_To_Bob", "transfer_to_bob"),
    ],
)
def test_name_means_an_offered_tool(written: str, name: str) -> None:
    assert regular_name(written, TOOLS) == name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("delete", "delete"),
        ("assistant<|channel|>analysis", "assistant"),
        ("functions.delete<|channel|>commentary", "delete"),
        ("löschen", "l_schen"),
        ("x" * 99, "x" * 64),
        ("<|channel|>", "channel"),
        ("", UNNAMED),
        ("\x00", UNNAMED),
    ],
)
def test_other_name_is_one_that_providers_take_back(written: str, name: str) -> None:
    assert regular_name(written, TOOLS) == name


def test_only_tool_is_meant_by_a_mark_or_by_nothing() -> None:
    """ollama/ollama#11704"""
    assert regular_name("assistant<|channel|>analysis", TOOLS[:1]) == "query"
    assert regular_name("", TOOLS[:1]) == "query"
    assert regular_name("delete", TOOLS[:1]) == "delete"


def test_names_that_differ_in_case_only_stay_apart() -> None:
    both = [tool("run"), tool("Run")]
    assert [regular_name(name, both) for name in ("run", "Run", "RUN")] == ["run", "Run", "RUN"]


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("", "{}"),
        (" ", "{}"),
        ("null", "{}"),
        ('""', "{}"),
        ("[]", "{}"),
        ('{"sql":\t1}', '{"sql":\t1}'),
        ('"{\\"sql\\": 1}"', '{"sql": 1}'),
        ('[{"sql": 1}]', '{"sql": 1}'),
        ('```json\n{"sql": 1}\n```', '{"sql": 1}'),
        ('{}{"sql": 1}', '{"sql": 1}'),
        ('{"sql": 1}{"sql": 1}', '{"sql": 1}'),
        ('{"sql": 1}</tool_call>', '{"sql": 1}'),
        ('{"sql": "a\nb"}', '{"sql": "a\\nb"}'),
        # Not to be had: the tool says so, and the model sees it.
        ("5", "5"),
        ("[1, 2]", "[1, 2]"),
        ('"SELECT 1"', '"SELECT 1"'),
        ("SELECT 1", "SELECT 1"),
        ('{"sql": {"a": 1}, "b', '{"sql": {"a": 1}, "b'),
        ('{"a": 1}{"b": 2}', '{"a": 1}{"b": 2}'),
    ],
)
def test_arguments(written: str, arguments: str) -> None:
    assert regular_arguments(written, TOOLS[0]) == arguments
    assert regular_arguments(written, None) == arguments


@pytest.mark.parametrize("written", ["null", "5", "[1]", '"x"', "true"])
def test_tool_without_parameters_gets_none(written: str) -> None:
    assert regular_arguments(written, TOOLS[1]) == "{}"
    assert regular_arguments(written, {"name": "f"}) == "{}"


@given(st.text('{}[]",:0ntrue \\'), st.booleans())
def test_arguments_stay_or_become_an_object(written: str, knows: bool) -> None:
    arguments = regular_arguments(written, TOOLS[0] if knows else None)
    assert arguments == written or isinstance(json.loads(arguments), dict)


@given(st.text())
def test_any_name_becomes_one_that_providers_take(written: str) -> None:
    name = regular_name(written, TOOLS)
    assert 0 < len(name) <= 64
    assert all(character.isascii() and (character.isalnum() or character in "_-") for character in name)
