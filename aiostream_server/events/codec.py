"""Events as JSON, and back.

Every event has `seq`, `run_id`, `type` and `timestamp` (ISO 8601, UTC); `agent` and `content` where an agent speaks. A
line stays below 64 KiB: of a longer whole message, `content` holds the beginning, and `truncated` is true. Its tokens
held all of it, so `WholeMessages` completes it for a reader of the run. Other long fields are cut in the same way. Only
a `tool_requested` is never cut: half of a call's arguments is of no use to the client that is to run it.

Decoding accepts events of a newer server: it ignores unknown fields, and an event with an unknown type, or an unknown
value of an enumeration, is None. A missing field, or one of the wrong type, is an error.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from aiostream_server.events.base import Speech
from aiostream_server.events.model import EVENTS, Entry, Event, Token
from aiostream_server.events.tool_events import ToolRequested

_MAX_LINE_CHARS: Final = 60_000
_TRUNCATED_CHARS: Final = 4_000  # each takes at most 12 bytes of JSON
_TRUNCATED_FIELD_CHARS: Final = 500


class _UnknownValue(Exception):
    """A newer server uses a value that this version does not know."""


def encode_entry(run_id: str, entry: Entry) -> str:
    """One line of ASCII JSON, shorter than 64 KiB (but for a `ToolRequested`), without any kind of line end in it."""
    stamp = datetime.fromtimestamp(entry.timestamp, UTC).isoformat(timespec="milliseconds")
    body = {"seq": entry.seq, "run_id": run_id, "type": entry.event.type, "timestamp": stamp, **asdict(entry.event)}
    line = _dump(body)
    if isinstance(entry.event, ToolRequested):
        return line
    if len(line) > _MAX_LINE_CHARS and isinstance(body.get("content"), str):
        body |= {"content": body["content"][:_TRUNCATED_CHARS], "truncated": True}
        line = _dump(body)
    if len(line) > _MAX_LINE_CHARS:
        line = _dump({name: _cut(value) for name, value in body.items()} | {"truncated": True})
    return line


def decode_event(data: Mapping[str, Any]) -> Event | None:
    """The event, or None for one of a newer server. Raises `ValueError` for anything else."""
    if not isinstance(kind := data.get("type"), str):
        raise ValueError(f"type: expected a string, got {kind!r:.80}")
    if (cls := EVENTS.get(kind)) is None:
        return None
    try:
        event: Event = _build(cls, data, kind)
    except _UnknownValue:
        return None
    return event


class WholeMessages:
    """Completes truncated messages of one run. Feed it every event, in order."""

    def __init__(self) -> None:
        self._tokens: defaultdict[str, list[str]] = defaultdict(list)
        self._last: dict[str, str] = {}

    def complete(self, event: Event, *, truncated: bool) -> Event:
        """The event with all of its text, or with the beginning if the reader joined after the message's tokens."""
        if isinstance(event, Token):
            self._tokens[event.agent].append(event.content)
        elif isinstance(event, Speech):
            streamed = "".join(self._tokens.pop(event.agent, ()))
            if truncated:
                known = (streamed, self._last.get(event.agent, ""))  # an answer repeats an earlier message
                whole = next((text for text in known if text.startswith(event.content)), event.content)
                self._last[event.agent] = whole
                return replace(event, content=whole)
        return event


def _cut(value: object) -> object:
    return value[:_TRUNCATED_FIELD_CHARS] if isinstance(value, str) else value


def _dump(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


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
    """`found`, checked against the annotation `hint`."""
    if get_origin(hint) is Literal:
        if found not in get_args(hint):
            raise _UnknownValue
        return found
    if get_origin(hint) in (Union, UnionType):  # events use no other union than `X | None`
        return None if found is None else _value(get_args(hint)[0], found, path)
    if is_dataclass(hint) and isinstance(found, Mapping):
        return _build(hint, found, path)
    if hint is float and type(found) is int:
        return float(found)
    if type(found) is not hint:  # not `isinstance`: a `bool` is an `int`, but no number here
        raise ValueError(f"{path}: expected {hint.__name__}, got {type(found).__name__}")
    return found
