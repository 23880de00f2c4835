"""A client's JSON Schema, and whether a model's answer fits it: https://json-schema.org, drafts 4 to 2020-12.

Both come from outside, so checking is bounded: by the size of a schema, and by the steps of each check
(`bounded_validator`). Only references inside the schema are followed, and nothing is fetched.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.bounded_validator import TooManySteps, bounded_validator, counted_steps, pattern_problem
from aiostream_server.intake.json_text import dump, load
from aiostream_server.text import printable_line

_MAX_SCHEMA_BYTES: Final = 64 * 1024
_MAX_ERRORS: Final = 50  # of which the best is told
_MAX_REASON_CHARS: Final = 300
_TOO_DEEP: Final = "the schema refers to itself without an end, or the answer is nested too deeply"
_TOO_LONG: Final = "the answer takes too many steps to compare with the schema"
_KEPT: Final = 64  # programs send the same few schemas again and again, and checking one takes milliseconds
_SUBSCHEMAS_BY_NAME: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES: Final = ("const", "enum", "default", "examples", "example")
_NAMES: Final = ("$schema", "$id", "$anchor", "$dynamicAnchor")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class AnswerSchema:
    """`text` is its JSON. Compare with `problem`, which takes up to half a second: call it in a thread."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises `ValueError` with the reason, for a schema that cannot be checked."""
        try:
            for place, node in _subschemas(schema):
                _check_names(node, place)  # drafts before the one that brought a name do not look at it; lookups do
            draft = validator_for(schema, default=Draft202012Validator)
            draft.check_schema(schema)
            root = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
            for place, node in _subschemas(schema):
                _check_node(node, place, root.lookup)
        except SchemaError as exc:
            raise ValueError(f"is no JSON Schema: {_said(exc)}") from exc
        except RecursionError as exc:
            raise ValueError("is nested too deeply") from exc
        self.schema: Final = schema
        self.text: Final = dump(schema).decode()
        self._validator: Final = bounded_validator(draft, schema)
        match self.problem(None):
            case str(endless) if endless == _TOO_DEEP:
                raise ValueError("refers to itself without an end")
            case str(endless) if endless == _TOO_LONG:
                raise ValueError("takes too many steps to compare even a null with it")

    @property
    def is_strict(self) -> bool:
        """Whether it keeps to the rules of OpenAI's structured outputs: it is an object, and every object in it
        requires all of its properties and allows no others."""
        return self.schema.get("type") == "object" and all(
            map(_is_strict, (node for _, node in _subschemas(self.schema)))
        )

    @property
    def is_of_objects(self) -> bool:
        """Whether only JSON objects can fit it."""
        return self.schema.get("type") == "object"

    def problem(self, value: object) -> str | None:
        """Why the value does not fit, in one line; None if it does."""
        try:
            with counted_steps():
                error = best_match(islice(self._validator.iter_errors(value), _MAX_ERRORS))
        except TooManySteps:
            return _TOO_LONG
        except RecursionError:
            return _TOO_DEEP
        except (Unresolvable, jsonschema.exceptions.UnknownType, ArithmeticError) as exc:
            return printable_line(str(exc), _MAX_REASON_CHARS)
        return None if error is None else _said(error)


def read_schema(schema: object, field: str) -> AnswerSchema:
    """Raises `InvalidRequest` about the `field` of the request."""
    try:
        if not isinstance(schema, Mapping):
            raise ValueError("must be an object")
        encoded = dump(schema)  # in its own order: models write properties in the schema's
        if len(encoded) > _MAX_SCHEMA_BYTES:
            raise ValueError(f"is larger than {_MAX_SCHEMA_BYTES} bytes")
        return _known(encoded)
    except RecursionError as exc:
        raise InvalidRequest(f"{field}: is nested too deeply", param=field) from exc
    except ValueError as exc:
        raise InvalidRequest(f"{field}: {exc}", param=field) from exc


def any_object() -> AnswerSchema:
    return _known(dump({"type": "object"}))


@lru_cache(_KEPT)
def _known(encoded: bytes) -> AnswerSchema:
    return AnswerSchema(load(encoded))


def _subschemas(root: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object in which keywords stand, with its place: not the values of `enum`, not the names of properties."""
    waiting = [("", root)]
    while waiting:
        place, node = waiting.pop()
        if isinstance(node, list):
            waiting += [(f"{place}/{index}", item) for index, item in enumerate(node)]
        if not isinstance(node, Mapping):
            continue
        yield place, node
        for key, value in node.items():
            if key in _SUBSCHEMAS_BY_NAME and isinstance(value, Mapping):
                waiting += [(f"{place}/{key}/{name}", schema) for name, schema in value.items()]
            elif key not in _VALUES:
                waiting.append((f"{place}/{key}", value))


def _check_names(node: Mapping[str, Any], place: str) -> None:
    for key in _NAMES:
        if not isinstance(node.get(key, ""), str):
            raise ValueError(f"{place}/{key}: must be a string")


def _check_node(node: Mapping[str, Any], place: str, look_up: Callable[[str], object]) -> None:
    for key in _REFERENCES:
        if isinstance(reference := node.get(key), str):
            if not reference.startswith("#"):
                raise ValueError(f"{place}/{key}: only references inside the schema (#/...) are followed")
            try:
                look_up(reference)
            except Unresolvable as exc:
                raise ValueError(f"{place}/{key}: there is no {reference} in the schema") from exc
    patterns = [("pattern", node.get("pattern"))]
    if isinstance(names := node.get("patternProperties"), Mapping):
        patterns += [("patternProperties", name) for name in names]
        if "unevaluatedProperties" in node:
            raise ValueError(f"{place}: patternProperties and unevaluatedProperties together are not supported")
    for key, pattern in patterns:
        if isinstance(pattern, str) and (problem := pattern_problem(pattern, is_of_names=key != "pattern")):
            raise ValueError(f"{place}/{key}: {problem}")


def _is_strict(node: Mapping[str, Any]) -> bool:
    properties = node.get("properties", {})
    if not properties and node.get("type") != "object":
        return True
    return node.get("additionalProperties") is False and {*node.get("required", ())} == {*properties}


def _said(error: ValidationError | SchemaError) -> str:
    """`$.items[2].name: 3 is not of type 'string'`"""
    where = "" if error.json_path == "$" else f"{error.json_path}: "
    return printable_line(f"{where}{error.message}", _MAX_REASON_CHARS)
