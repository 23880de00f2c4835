"""JSON -> events: the inverse of `encoding`, for whoever reads a run from outside its process.

Liberal towards newer servers: fields that are not known are ignored, and so is an event whose type, or one of whose
fixed words, is not known: it is None. What is missing or of the wrong type is an error.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from aiostream_server.events.model import Event

_CLASSES: Final[Mapping[str, type[Event]]] = {cls.type: cls for cls in get_args(Event)}


class _UnknownWord(Exception):
    """A newer server says something for which there is no word here."""


def decode_event(data: Mapping[str, Any]) -> Event | None:
    """The event, or None where it is of a later day. Raises `ValueError` for what is no event at all."""
    if not isinstance(kind := data.get("type"), str):
        raise ValueError(f"type: expected a string, got {kind!r:.80}")
    if (cls := _CLASSES.get(kind)) is None:
        return None
    try:
        event: Event = _build(cls, data, kind)
    except _UnknownWord:
        return None
    return event


def _build(cls: Any, data: Mapping[str, Any], path: str) -> Any:
    hints = _hints(cls)
    return cls(**{each.name: _field(each, hints[each.name], data, f"{path}.{each.name}") for each in fields(cls)})


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _field(declared: "Field[Any]", hint: Any, data: Mapping[str, Any], path: str) -> Any:
    if declared.name in data:
        return _value(hint, data[declared.name], path)
    if declared.default is MISSING:
        raise ValueError(f"{path}: is required")
    return declared.default


def _value(hint: Any, found: Any, path: str) -> Any:
    """`found`, as what the annotation asks for."""
    if get_origin(hint) is Literal:
        if found not in get_args(hint):
            raise _UnknownWord
        return found
    if get_origin(hint) in (Union, UnionType):  # `X | None`, the one union that events have
        return None if found is None else _value(get_args(hint)[0], found, path)
    if is_dataclass(hint) and isinstance(found, Mapping):
        return _build(hint, found, path)
    if hint is float and type(found) is int:
        return float(found)
    if type(found) is not hint:  # `bool` is an `int`, but no number
        raise ValueError(f"{path}: expected {hint.__name__}, got {type(found).__name__}")
    return found
