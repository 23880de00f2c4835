"""The JSON schemas of events, made of their dataclasses: what `events.encoding` writes. For `openapi.json`."""

from typing import Any, Final, get_args

from pydantic import TypeAdapter

from aiostream_server.events.model import Event

_REF: Final = "#/components/schemas/{model}"
_COMMON: Final[dict[str, Any]] = {
    "seq": {"type": "integer", "minimum": 1, "description": "Counts from 1 without a gap."},
    "run_id": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
}
_TRUNCATED: Final[dict[str, Any]] = {
    "const": True,
    "description": "Only where the content was too long for one event, and this is its beginning.",
}

EVENT_KINDS: Final = tuple(kind.type for kind in get_args(Event))


def event_schemas() -> dict[str, dict[str, Any]]:
    """By component name (`TokenEvent`), and what they refer to (`TokenCount`)."""
    schemas: dict[str, dict[str, Any]] = {}
    for kind in get_args(Event):
        schema = TypeAdapter(kind).json_schema(ref_template=_REF)
        schemas |= schema.pop("$defs", {})
        schemas[_component(kind.type)] = _event_schema(kind.type, schema)
    return schemas


def event_names() -> tuple[str, ...]:
    return tuple(map(_component, EVENT_KINDS))


def _component(kind: str) -> str:
    """`tool_result` is `ToolResultEvent`."""
    return "".join(map(str.title, kind.split("_"))) + "Event"


def _event_schema(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Every field is always there, whether it has a default or not."""
    own = {name: _untitled(field) for name, field in schema["properties"].items()}
    properties = {**_COMMON, "type": {"const": kind}, **own}
    told = {**properties, "truncated": _TRUNCATED} if "content" in own and "truncated" not in own else properties
    return {**_untitled(schema), "required": list(properties), "properties": told}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("title", "default")}
