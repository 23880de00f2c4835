"""A client's schema and a model's answer are compared rightly, and in bounded time whatever they are."""

import json
import re
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.answer_schema import AnswerSchema, read_schema

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
INTEGER = {"type": "integer"}
OF_DRAFT_7 = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "definitions": {"a": {"const": 1}},
    "items": [{"$ref": "#/definitions/a"}],
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "name": {"type": "string"}}}},
}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 2.5, "", "a", "ab", "2020-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
leaves = st.one_of(
    st.sampled_from([True, {}, {"type": "string"}, {"type": ["integer", "null"]}, {"minLength": 1}, {"pattern": "^a"}]),
    st.sampled_from([{"minimum": 0}, {"multipleOf": 2}, {"uniqueItems": True}, {"maxItems": 1}, {"required": ["a"]}]),
    st.builds(lambda value: {"const": value}, values),
    st.builds(lambda some: {"enum": some}, st.lists(values, min_size=1, max_size=3)),
)
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda each: {"items": each}, inner),
        st.builds(lambda each: {"additionalProperties": each, "properties": {"a": True}}, inner),
        st.builds(lambda each: {"patternProperties": {"^[ab]$": each}, "additionalProperties": False}, inner),
        st.builds(lambda each: {"not": each}, inner),
        st.builds(lambda each: {"properties": each}, st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
        st.builds(
            lambda key, some: {key: some}, st.sampled_from(["anyOf", "oneOf", "allOf"]), st.lists(inner, min_size=1)
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(schemas.filter(lambda schema: isinstance(schema, dict)), values)
def test_agrees_with_another_implementation(schema: dict[str, Any], value: Any) -> None:
    assert (AnswerSchema(schema).problem(value) is None) is jsonschema_rs.is_valid(schema, value)


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"properties": {"a": {"items": INTEGER}}}, {"a": [1, "x"]}, "$.a[1]: 'x' is not of type 'integer'"),
        ({"required": ["a"]}, {}, "'a' is a required property"),
        ({"additionalProperties": False}, {"a": 1}, "no other properties are allowed, but there is 'a'"),
        ({"format": "date-time"}, "tomorrow", "'tomorrow' is not a 'date-time'"),
        ({"format": "date-time"}, "2026-01-05T10:00:00Z", None),
        ({"format": "date"}, 3, None),
        (OF_DRAFT_7, [2], "$[0]: 1 was expected"),
        (TREE, {"next": {"next": {"name": 3}}}, "$.next.next.name: 3 is not of type 'string'"),
        ({"properties": {"pattern": {}, "$ref": INTEGER}}, {"$ref": "x"}, "$['$ref']: 'x' is not of type 'integer'"),
        ({"const": {"$ref": "http://elsewhere"}}, {"$ref": "http://elsewhere"}, None),
    ],
)
def test_names_the_place_and_the_reason(schema: dict[str, Any], value: Any, problem: str | None) -> None:
    assert AnswerSchema(schema).problem(value) == problem


def test_a_pattern_with_look_around_is_not_checked() -> None:
    """pydantic writes this one for `Decimal`."""
    assert AnswerSchema({"pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}).problem("no number") is None


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "must be an object"),
        ({"type": "strin"}, "is no JSON Schema: $.type"),
        ({"items": {"$ref": "https://example.com/s.json"}}, "/items/$ref: only references inside the schema"),
        ({"$ref": "other.json"}, "/$ref: only references inside the schema"),
        ({"$ref": "#/$defs/a"}, "/$ref: there is no #/$defs/a in the schema"),
        ({"$ref": "#"}, "refers to itself without an end"),
        ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "refers to itself"),
        ({"properties": {"a": {"pattern": "["}}}, "pattern: '[' is not a 'regex'"),
        ({"patternProperties": {"(?=a)": True}}, "look-around is not supported in the names of properties"),
        ({"description": "x" * 70_000}, "is larger than 65536 bytes"),
        ({"unevaluatedProperties": False, "patternProperties": {"a": True}}, "together are not supported"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_schema(schema, "tools[0].function.parameters")
    assert str(caught.value).startswith("tools[0].function.parameters: ")
    assert words in str(caught.value)
    assert caught.value.param == "tools[0].function.parameters"


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """Each definition is checked twice by the one before it: 2 to the power of `levels` steps."""
    defs: dict[str, Any] = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{levels}": True}}


UNION = {"anyOf": [{"properties": {"l": {"$ref": "#"}, "k": {"const": k}}, "required": ["k"]} for k in "ab"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50 + "!"),
        ({"patternProperties": {"^(a|a)*$": True}, "additionalProperties": False}, {"a" * 50 + "!": 1}),
        (UNION, json.loads('{"l":' * 60 + "1" + "}" * 60)),
        ({"uniqueItems": True}, [{"a": number} for number in range(20_000)]),
        ({"items": {"enum": [*range(5_000)]}}, [-1] * 5_000),
        (TREE, json.loads('{"next":' * 900 + "1" + "}" * 900)),
    ],
    ids=["pattern", "pattern of names", "union", "unique", "enum", "deep"],
)
def test_no_schema_and_no_answer_takes_long(schema: dict[str, Any], value: Any) -> None:
    """Each would take minutes, or for ever; processor time counts, whatever else runs."""
    began = time.thread_time()
    AnswerSchema(schema).problem(value)
    assert time.thread_time() - began < 5


NAMES_OF_KEYWORDS = ["$schema", "$id", "$ref", "$defs", "$anchor", "$dynamicRef", "type", "properties", "items"]
NAMES_OF_KEYWORDS += ["prefixItems", "pattern", "anyOf", "not", "if", "then", "enum", "const", "format", "required"]
NAMES_OF_KEYWORDS += ["minimum", "multipleOf", "uniqueItems", "patternProperties", "additionalProperties", "contains"]
NAMES_OF_KEYWORDS += ["unevaluatedProperties", "dependentSchemas", "maxLength"]
KEYWORDS = st.sampled_from(NAMES_OF_KEYWORDS)
odd = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "#", "#/$defs/a", "object", "string", DRAFT_4, "(", "x:y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYWORDS, odd, max_size=4), odd)
def test_any_object_is_refused_or_compared(schema: dict[str, Any], value: Any) -> None:
    try:
        read = read_schema(schema, "f")
    except InvalidRequest:
        return
    problem = read.problem(value)
    assert problem is None or problem


@pytest.mark.parametrize("name", ["$schema", "$id", "$anchor", "$dynamicAnchor"])
@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-07/schema#", "draft/2020-12/schema"])
def test_a_name_that_is_no_text_is_refused_in_any_draft(name: str, draft: str) -> None:
    schemas: tuple[dict[str, Any], ...] = (
        {"$schema": f"http://json-schema.org/{draft}", name: []},
        {"$schema": f"http://json-schema.org/{draft}", "properties": {"a": {name: {}}}},
    )
    for schema in schemas:
        with pytest.raises(InvalidRequest, match=re.escape(name)):
            read_schema(schema, "f")


def test_the_order_of_properties_stays() -> None:
    """Models write them in that order: first the reasons, then the verdict."""
    properties = {"reasons": {"type": "string"}, "answer": {"type": "string"}, "because": {"type": "string"}}
    assert [*read_schema({"properties": properties}, "f").schema["properties"]] == ["reasons", "answer", "because"]


def test_a_schema_that_doubles_with_each_reference_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too many steps"):
        read_schema(doubling(60), "f")


def test_a_deep_schema_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read_schema(nested(800), "f")


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object"}, False),
        ({"type": "array", "items": {"type": "string"}}, False),
    ],
)
def test_the_rules_of_structured_outputs(schema: dict[str, Any], is_strict: bool) -> None:
    assert AnswerSchema(schema).is_strict is is_strict
