"""Writes the kinds of events as JSDoc types, for editors of the page: `aiostream_server/page/events.js`.

The same schemas are in `openapi.json`.
"""

import textwrap
from pathlib import Path
from typing import Any, Final

from aiostream_server.events import EVENTS
from aiostream_server.protocols.runs.schemas import component, event_schemas

FILE: Final = Path(__file__).parents[2] / "aiostream_server" / "page" / "events.js"
_TYPES: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def types() -> str:
    """The file's text."""
    schemas = event_schemas()
    names = [component(kind) for kind in EVENTS]
    others = [name for name in schemas if name not in names]
    parts = [_typedef(name, schemas[name]) for name in (*others, *names)]
    union = "\n".join(f" *     | {name}" for name in names).replace("     | ", "       ", 1)
    head = "// Made by scripts/dev/page-types of the events' own classes: do not edit.\n"
    return f"{head}\n{''.join(parts)}/**\n * @typedef {{\n{union}\n * }} RunEvent\n */\n\nexport {{}};\n"


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
    return _TYPES[schema["type"]]


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


if __name__ == "__main__":
    FILE.write_text(types(), "utf-8")
