"""The JSON schemas of events, made of their dataclasses: what `events.codec` writes. For `openapi.json`."""

from typing import Any, Final

from pydantic import TypeAdapter

from aiostream_server.events import EVENTS
from aiostream_server.protocols.json_schema import REF, Schema, without_titles

_COMMON: Final[Schema] = {
    "seq": {"type": "integer", "minimum": 1, "description": "Counts from 1 without a gap."},
    "run_id": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
}
_TRUNCATED: Final[Schema] = {
    "const": True,
    "description": "Only where the content was too long for one event, and this is its beginning.",
}


def event_schemas() -> dict[str, Schema]:
    """By component name (`TokenEvent`), and what they refer to (`TokenCount`)."""
    schemas: dict[str, Schema] = {}
    for name, kind in EVENTS.items():
        schema = TypeAdapter(kind).json_schema(ref_template=REF)
        schemas |= schema.pop("$defs", {})
        schemas[component(name)] = _event_schema(name, schema)
    return schemas


def component(kind: str) -> str:
    """`tool_result` is `ToolResultEvent`."""
    return "".join(map(str.title, kind.split("_"))) + "Event"


def _event_schema(kind: str, schema: dict[str, Any]) -> Schema:
    """Every field is always there, whether it has a default or not."""
    own = {name: without_titles(field) for name, field in schema["properties"].items()}
    required = {**_COMMON, "type": {"const": kind}, **own}
    has_beginning = "content" in own and "truncated" not in own
    properties = {**required, "truncated": _TRUNCATED} if has_beginning else required
    return {**without_titles(schema), "required": list(required), "properties": properties}
