"""A validator of JSON Schema that is bounded: the checks of `jsonschema` that take time without a bound are replaced.

Each check counts its steps. A `pattern` is matched in linear time; one with look-around, which that cannot do, is not
checked.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, time
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, core_schema
from referencing import Registry

from aiostream_server.intake.json_text import canonical

_MAX_STEPS: Final = 50_000  # about half a second

_Untyped: TypeAlias = Any  # jsonschema has no types: a validator, and the schema and instance as JSON has them
_Keyword = Callable[[_Untyped, _Untyped, _Untyped, _Untyped], Iterator[ValidationError] | None]


_steps: Final[ContextVar[list[int]]] = ContextVar("steps")


class TooManySteps(Exception):
    """A value takes more than `_MAX_STEPS` to compare with a schema."""


@contextmanager
def counted_steps() -> Iterator[None]:
    """Bounds the checks in this block, together."""
    steps = _steps.set([_MAX_STEPS])
    try:
        yield
    finally:
        _steps.reset(steps)


def bounded_validator(draft: _Untyped, schema: Mapping[str, _Untyped]) -> _Untyped:
    """The draft's validator of the schema. Use it in a block of `counted_steps`; its checks raise `TooManySteps`."""
    return _bounded(draft)(schema, registry=Registry(), format_checker=_formats())


@cache
def _bounded(draft: _Untyped) -> _Untyped:
    own: dict[str, _Keyword] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    keywords = {name: _counted(own.get(name, check)) for name, check in draft.VALIDATORS.items()}
    return extend(draft, keywords)


def _counted(check: _Keyword) -> _Keyword:
    def keyword(
        validator: _Untyped, value: _Untyped, instance: _Untyped, schema: _Untyped
    ) -> Iterator[ValidationError] | None:
        left = _steps.get()
        left[0] -= 1 + (len(value) if isinstance(value, list | dict) else 0)
        if left[0] < 0:
            raise TooManySteps
        return check(validator, value, instance, schema)

    return keyword


@lru_cache(256)
def _matcher(pattern: str) -> SchemaValidator | None:
    """Matches in linear time; None where the pattern needs look-around or the like."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except PatternError:
        return None


def pattern_problem(pattern: str, *, is_of_names: bool) -> str | None:
    """Why a schema may not have this pattern, which `is_of_names` of properties or of text; None if it may."""
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


def _pattern(validator: _Untyped, pattern: str, instance: _Untyped, _: _Untyped) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: _Untyped, by_pattern: _Untyped, instance: _Untyped, _: _Untyped
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, schema in by_pattern.items():
            for name, value in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: _Untyped, allowed: _Untyped, instance: _Untyped, schema: _Untyped
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    more = [name for name in instance if name not in known and not any(_matches(each, name) for each in patterns)]
    if isinstance(allowed, dict):
        for name in more:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and more:
        yield ValidationError(f"no other properties are allowed, but there is {more[0]!r}")


def _unique_items(
    validator: _Untyped, is_wanted: _Untyped, instance: _Untyped, _: _Untyped
) -> Iterator[ValidationError]:
    """Compares the items' JSON: comparing each item with each takes quadratic time."""
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
