"""A client's JSON Schema, and whether a model's answer fits it: https://json-schema.org, drafts 4 to 2020-12.

Both come from outside, so checking is bounded: by the size of a schema, and by the steps of each check. A `pattern` is
matched in linear time; one with look-around, which that cannot do, is not checked. Only references inside the schema
are followed, and nothing is fetched.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime, time
from functools import cache, lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema
from jsonschema import FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.validators import Draft202012Validator, extend, validator_for
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.json_text import canonical, dump, load
from aiostream_server.text import printable_line

_MAX_SCHEMA_BYTES: Final = 64 * 1024
_MAX_STEPS: Final = 50_000  # about half a second
_MAX_ERRORS: Final = 50  # of which the best is told
_MAX_REASON_CHARS: Final = 300
_TOO_DEEP: Final = "the schema refers to itself without an end, or the answer is nested too deeply"
_TOO_LONG: Final = "the answer takes too many steps to compare with the schema"
_KEPT: Final = 64  # programs send the same few schemas again and again, and checking one takes milliseconds
_SUBSCHEMAS_BY_NAME: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_VALUES: Final = ("const", "enum", "default", "examples", "example")
_NAMES: Final = ("$schema", "$id", "$anchor", "$dynamicAnchor")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")

# jsonschema is untyped: a validator, and the schema and instance as JSON has them.
_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class _TooManySteps(Exception):
    pass


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
        self._validator: Final = _bounded(draft)(schema, registry=Registry(), format_checker=_formats())
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
        steps = _steps.set([_MAX_STEPS])
        try:
            error = best_match(islice(self._validator.iter_errors(value), _MAX_ERRORS))
        except _TooManySteps:
            return _TOO_LONG
        except RecursionError:
            return _TOO_DEEP
        except (Unresolvable, jsonschema.exceptions.UnknownType, ArithmeticError) as exc:
            return printable_line(str(exc), _MAX_REASON_CHARS)
        finally:
            _steps.reset(steps)
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
        if isinstance(pattern, str) and (problem := _pattern_problem(pattern, is_of_names=key != "pattern")):
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


# What `jsonschema` does in time that a schema or a value can stretch without a bound is done otherwise here.

_steps: Final[ContextVar[list[int]]] = ContextVar("steps")


@cache
def _bounded(draft: type[Any]) -> type[Any]:
    """The draft's validator, which counts its steps."""
    own: dict[str, _Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    keywords = {name: _counted(own.get(name, check)) for name, check in draft.VALIDATORS.items()}
    bounded: type[Any] = extend(draft, keywords)
    return bounded


def _counted(check: _Keyword) -> _Keyword:
    def keyword(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        left = _steps.get()
        left[0] -= 1 + (len(value) if isinstance(value, list | dict) else 0)
        if left[0] < 0:
            raise _TooManySteps
        return check(validator, value, instance, schema)

    return keyword


@lru_cache(256)
def _matcher(pattern: str) -> SchemaValidator | None:
    """Matches in linear time; None where the pattern needs look-around or the like."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except PatternError:
        return None


def _pattern_problem(pattern: str, *, is_of_names: bool) -> str | None:
    if _matcher(pattern) is not None:
        return None
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        return f"is no regular expression: {exc}"
    return "look-around is not supported in the names of properties" if is_of_names else None


def _matches(pattern: str, text: str) -> bool:
    matcher = _matcher(pattern)
    return matcher is None or matcher.isinstance_python(text)


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, by_pattern: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, schema in by_pattern.items():
            for name, value in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    more = [name for name in instance if name not in known and not any(_matches(each, name) for each in patterns)]
    if isinstance(allowed, dict):
        for name in more:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and more:
        yield ValidationError(f"no other properties are allowed, but there is {more[0]!r}")


def _unique_items(validator: Any, is_wanted: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    """By their JSON, since comparing each with each takes quadratic time."""
    if is_wanted and isinstance(instance, list) and len({canonical(_plain(item)) for item in instance}) < len(instance):
        yield ValidationError("the items are not unique")


def _plain(value: object) -> object:
    """Equal numbers are written alike: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


@cache
def _formats() -> FormatChecker:
    checker = FormatChecker(formats=("date", "email", "ipv4", "ipv6", "uuid"))
    checker.checks("date-time", raises=ValueError)(lambda text: _parses(datetime.fromisoformat, text))
    checker.checks("time", raises=ValueError)(lambda text: _parses(time.fromisoformat, text))
    return checker


def _parses(parse: Callable[[str], object], text: object) -> bool:
    if isinstance(text, str):
        parse(text)
    return True
