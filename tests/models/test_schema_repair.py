"""A tool's schema, whatever it is, becomes one that strict providers take, and that allows what it allowed before."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aiostream_server.models.schema_repair import repaired
from tests.models.tool_schema_rules import allows, complaints

ANYTHING = repaired({"type": "object", "properties": {"x": {}}}).schema["properties"]["x"]


def of_property(schema: Any) -> Any:
    made = repaired({"type": "object", "properties": {"x": schema}})
    assert complaints(made.schema) == []
    return made.schema["properties"]["x"]


def test_a_good_schema_stays_as_it_is() -> None:
    good = {
        "type": "object",
        "title": "arguments",
        "description": "All of it.",
        "properties": {
            "city": {"type": "string", "description": "Where", "enum": ["Rome", "Oslo"], "default": "Rome"},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
            "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3},
            "at": {"type": "string", "format": "date-time"},
            "place": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "required": ["city"],
    }
    made = repaired(good)
    assert (made.schema, made.repairs, made.problems) == (good, (), ())
    assert complaints(good) == []


@pytest.mark.parametrize("empty", [None, {}, {"type": "object"}, {"type": "object", "properties": None}])
def test_no_arguments(empty: Any) -> None:
    assert repaired(empty).schema == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"type": "array"}, {"type": "array", "items": ANYTHING}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        (True, ANYTHING),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        (
            {"oneOf": [{"type": "string"}, {"type": "boolean"}, {"type": "null"}], "description": "d"},
            {
                "anyOf": [
                    {"type": "string", "nullable": True, "description": "d"},
                    {"type": "boolean", "nullable": True, "description": "d"},
                ]
            },
        ),
        ({"const": "on"}, {"type": "string", "enum": ["on"]}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "description": "(one of 1, 2)"}),
        ({"enum": ["", "a"], "description": "d"}, {"type": "string", "description": 'd (one of "", "a")'}),
        ({"type": "string", "enum": []}, {"type": "string"}),
        ({"type": "string", "format": "email"}, {"type": "string", "description": "(format: email)"}),
        ({"type": "integer", "format": "int64"}, {"type": "integer", "format": "int64"}),
        ({"type": "String"}, {"type": "string"}),
        ({"type": "dict"}, {"type": "object", "properties": {}}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0}),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, {"type": "number", "minimum": 1}),
        ({"properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
        ),
        ({"type": "array", "items": [{"type": "string"}]}, {"type": "array", "items": {"type": "string"}}),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {
                "type": "object",
                "properties": {},
                "description": '(any names, each with a value like {"type": "integer"})',
            },
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": False}, "required": ["a", "b", "c"]},
            {"type": "object", "properties": {"a": {"type": "string"}, "c": ANYTHING}, "required": ["a", "c"]},
        ),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]},
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "anyOf": [{"required": ["a"]}, {"required": []}],
            },
            {"type": "object", "properties": {"a": {"type": "string"}}},
        ),
        ({"type": "string", "pattern": "["}, {"type": "string"}),
        ({"type": "string", "x-order": 1, "examples": ["a"], "if": {}, "$comment": "c"}, {"type": "string"}),
    ],
)
def test_repairs(given: Any, told: Any) -> None:
    assert of_property(given) == told


def test_each_repair_is_told_with_its_place() -> None:
    made = repaired({"type": "object", "properties": {"rows": {"type": "array"}, "when": {"$ref": "#/$defs/no"}}})
    assert made.repairs == ("rows: an array without items",)
    assert made.problems == ("when: '#/$defs/no' is not in the schema",)


def test_a_reference_is_replaced_by_what_it_names() -> None:
    defs = {"Place": {"type": "object", "properties": {"name": {"type": "string"}}, "description": "A place."}}
    made = repaired(
        {
            "properties": {"at": {"$ref": "#/$defs/Place"}, "to": {"$ref": "#/$defs/Place", "description": "d"}},
            "$defs": defs,
        }
    )
    at, to = made.schema["properties"]["at"], made.schema["properties"]["to"]
    assert at == defs["Place"]
    assert to == {**defs["Place"], "description": "d"}
    assert complaints(made.schema) == []


def test_a_definition_that_holds_itself_ends() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/T"}, "also": {"$ref": "#/$defs/T"}}}
    made = repaired({"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}, "$defs": {"T": tree}})
    assert complaints(made.schema) == []
    assert len(json.dumps(made.schema)) < 5_000
    for loop in ({"$ref": "#"}, {"$ref": "#/properties/t"}, {"allOf": [{"$ref": "#/properties/t"}]}):
        assert complaints(repaired({"type": "object", "properties": {"t": loop}}).schema) == []


def test_alternatives_at_the_top_become_one_object() -> None:
    one = {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "string"}}, "required": ["kind", "x"]}
    two = {"type": "object", "properties": {"kind": {"const": "b"}, "y": {"type": "string"}}, "required": ["kind"]}
    made = repaired({"oneOf": [one, two], "description": "d"})
    assert complaints(made.schema) == []
    assert set(made.schema["properties"]) == {"kind", "x", "y"}
    assert made.schema["required"] == ["kind"]


@pytest.mark.parametrize("top", ["text", 7, [], {"type": "string"}, {"type": "array", "items": {"type": "string"}}])
def test_arguments_that_are_no_object_are_a_problem(top: Any) -> None:
    made = repaired(top)
    assert made.schema == {"type": "object", "properties": {}}
    assert made.problems


def test_a_huge_schema_is_cut_and_says_so() -> None:
    wide = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1_600)}}
    deep: Any = {"type": "string"}
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    around: Any = {"type": "object", "properties": {}}
    around["properties"]["self"] = around
    for huge in (wide, {"type": "object", "properties": {"x": deep}}, around):
        made = repaired(huge)
        assert complaints(made.schema) == []
        assert any("too large" in problem for problem in made.problems)


Pair = tuple[dict[str, Any], Any]  # a schema, and a value that it allows

_words = st.text("abcdefgh", min_size=1, max_size=4)


def _constants() -> st.SearchStrategy[Pair]:
    value = st.one_of(_words, st.integers(-9, 9), st.booleans(), st.none(), st.just(""))
    return value.flatmap(
        lambda v: st.one_of(
            st.just(({"const": v}, v)),
            st.lists(value, max_size=3).map(lambda more: ({"enum": [v, *more]}, v)),
        )
    )


def _scalars() -> st.SearchStrategy[Pair]:
    return st.one_of(
        _constants(),
        st.just(({"type": "string", "format": "uri"}, "http://a")),
        st.just(({"type": "string", "minLength": 1, "pattern": "^a+$"}, "aa")),
        st.just(({"type": ["string", "null"]}, None)),
        st.just(({"type": ["integer", "string"], "minimum": 2}, 3)),
        st.just(({"type": "number", "exclusiveMinimum": 0}, 0.5)),
        st.just(({"type": "boolean"}, True)),
        st.just(({}, [1, {"a": None}])),
        st.just(({"type": "array"}, [["a", 1], None, {"b": [2]}])),
        st.just(({"type": "null"}, None)),
    )


def _nested(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    def objects(pairs: dict[str, Pair]) -> Pair:
        schema = {"type": "object", "properties": {name: pair[0] for name, pair in pairs.items()}}
        return {**schema, "required": sorted(pairs), "additionalProperties": False}, {
            name: pair[1] for name, pair in pairs.items()
        }

    def choices(pairs: list[Pair], word: str) -> Pair:
        return {word: [pair[0] for pair in pairs], "description": "one"}, pairs[0][1]

    def referred(pair: Pair) -> Pair:
        return {"type": "object", "properties": {"r": {"$ref": "#/$defs/D"}}, "$defs": {"D": pair[0]}}, {"r": pair[1]}

    return st.one_of(
        st.dictionaries(_words, inner, max_size=3).map(objects),
        inner.map(lambda pair: ({"type": "array", "items": pair[0]}, [pair[1]] * 2)),
        inner.map(lambda pair: ({"type": "array", "prefixItems": [pair[0]]}, [pair[1]])),
        st.builds(choices, st.lists(inner, min_size=1, max_size=3), st.sampled_from(["anyOf"])),
        inner.map(lambda pair: ({"allOf": [pair[0], {"description": "d"}]}, pair[1])),
        inner.map(lambda pair: ({"type": "object", "additionalProperties": pair[0]}, {"k": pair[1]})),
    )


PAIRS = st.recursive(_scalars(), _nested, max_leaves=6)


@settings(max_examples=200)
@given(PAIRS)
def test_what_was_allowed_is_still_allowed(pair: Pair) -> None:
    schema = {"type": "object", "properties": {"x": pair[0]}, "required": ["x"]}
    assert Draft202012Validator(schema).is_valid({"x": pair[1]})
    made = repaired(schema)
    assert complaints(made.schema) == []
    assert allows(made.schema, {"x": pair[1]}), made.schema
    assert repaired(made.schema).schema == made.schema  # once is enough


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *("type", "properties", "items", "prefixItems", "required", "enum", "const", "anyOf", "oneOf"),
                    *("allOf", "$ref", "$defs", "additionalProperties", "format", "nullable", "default", "title"),
                    *("minimum", "minLength", "pattern", "not", "description", "a"),
                ]
            ),
            st.one_of(
                inner, st.sampled_from(["object", "array", "string", "null", "#", "#/$defs/a", "#/properties/a"])
            ),
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(_JSON)
def test_any_json_becomes_an_acceptable_schema(schema: Any) -> None:
    before = json.dumps(schema)
    assert complaints(repaired(schema).schema) == []
    assert json.dumps(schema) == before


def test_every_schema_of_a_python_function_is_acceptable() -> None:
    """As AutoGen makes them: with `additionalProperties`, null among alternatives, and titles."""
    from enum import IntEnum

    from autogen_core.tools import FunctionTool
    from pydantic import BaseModel

    class Size(IntEnum):
        small = 1

    class Item(BaseModel):
        name: str | None = None
        size: Size = Size.small

    async def order(
        items: list[Item], note: str | None = None, pair: tuple[int, str] = (1, "a"), any_: Any = None
    ) -> str:
        """Order."""
        return ""

    made = repaired(FunctionTool(order, description="d").schema["parameters"])
    assert complaints(made.schema) == []
    assert made.problems == ()
