"""Writes events, runs and teams as JSDoc types, and what each event must have: `aiostream_server/page/events.js`.

TypeScript's compiler checks the page's modules with the types; the page checks the files that it opens with the rest.
The same schemas are in `openapi.json`.
"""

import json
import textwrap
from pathlib import Path
from typing import Any, Final

from aiostream_server.events import EVENTS
from aiostream_server.protocols.json_schema import answer_schemas
from aiostream_server.protocols.runs.openapi import component, event_schemas
from aiostream_server.protocols.runs.teams import TeamObject
from aiostream_server.protocols.runs.whole import RunObject

FILE: Final = Path(__file__).parents[2] / "aiostream_server" / "page" / "events.js"
_TYPES: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_OBJECT: Final = "Record<string, any>"


def types() -> str:
    """The file's text."""
    schemas = event_schemas() | answer_schemas(RunObject, TeamObject)
    names = [component(kind) for kind in EVENTS]
    others = [name for name in schemas if name not in names]
    parts = [_typedef(name, schemas[name]) for name in (*others, *names)]
    head = "// Made by scripts/dev/page-types of the events' own classes: do not edit.\n"
    whole = f"/** @typedef {{{'|'.join(names)}}} RunEvent */\n"
    return f"{head}\n{''.join(parts)}{whole}\n{_fields({kind: schemas[component(kind)] for kind in EVENTS})}"


def _fields(schemas: dict[str, dict[str, Any]]) -> str:
    """What each event must have, beside what all have: the types of its fields by name."""
    every = set.intersection(*(set(schema["required"]) for schema in schemas.values()))
    rows = []
    for kind, schema in schemas.items():
        own = {name: _simple(schema["properties"][name]) for name in schema["required"] if name not in every}
        rows.append(f"    [{json.dumps(kind)}, {json.dumps(own)}],\n")
    said = "/** The types of the fields of each kind of event, beside those that all have. */"
    return f"{said}\nexport const FIELDS = new Map([\n{''.join(rows)}]);\n"


def _simple(schema: dict[str, Any]) -> str:
    """What `typeof` says, and null."""
    if "anyOf" in schema:
        return "|".join(map(_simple, schema["anyOf"]))
    if "enum" in schema:
        return "|".join(dict.fromkeys("null" if value is None else "string" for value in schema["enum"]))
    return _TYPES.get(schema.get("type", ""), "object")


def _typedef(name: str, schema: dict[str, Any]) -> str:
    said = textwrap.wrap(" ".join(schema.get("description", "").split()), 110)
    lines = [*said, f"@typedef {{Object}} {name}"]
    required = schema.get("required", ())
    for field, what in schema["properties"].items():
        lines.append(f"@property {{{_type(what)}}} {field if field in required else f'[{field}]'}")
    return "/**\n" + "".join(f" * {line}\n" for line in lines) + " */\n\n"


def _type(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return "|".join(map(_literal, schema["enum"]))
    if "anyOf" in schema:
        return "|".join(map(_type, schema["anyOf"]))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema["type"] == "array":
        return f"{_type(schema['items'])}[]"
    return _TYPES.get(schema["type"], _OBJECT)


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


if __name__ == "__main__":
    FILE.write_text(types(), "utf-8")
