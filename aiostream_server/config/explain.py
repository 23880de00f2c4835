"""Turn pydantic's errors into lines such as `[server] port: expected a whole number from 0 to 65535, got 70000`.

The model's JSON schema says what a key expects, and which parts of pydantic's path are keys of the file. Values of keys
that may hold a secret by mistake are not repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aiostream_server.config.model import Config
from aiostream_server.config.problem_text import did_you_mean, either, toml_key, toml_value

KeyPath: TypeAlias = tuple[str | int, ...]
Schema: TypeAlias = Mapping[str, Any]

_NOT_REPEATED: Final = frozenset(
    {"api_key_env", "api_key_file", "url", "url_env", "url_file", "password_env", "password_file", "base_url"}
)


@dataclass(frozen=True, slots=True)
class KeyLocation:
    """A key of the file: its path, its schema, and the schema of its table."""

    path: KeyPath
    wants: Schema
    table: Schema


def explain(error: ValidationError, document: Schema, source: Callable[[KeyPath], str | None]) -> list[str]:
    """One line per mistake. `source` returns the environment variable that set a key, if one did."""
    lines = []
    for detail in error.errors(include_url=False):
        place = locate(detail)
        origin = source(place.path)
        lines.append(
            f"{_where(place.path, document)}: {_what(detail, place)}{f' (from {toml_key(origin)})' if origin else ''}"
        )
    return lines


def locate(detail: ErrorDetails) -> KeyLocation:
    """The key that a mistake is about."""
    path: KeyPath = ()
    table: Schema = {}
    node = _schema()
    for part in detail["loc"]:
        if "discriminator" in node:  # this part of the path names the branch of a union, not a key
            node = _followed({"$ref": node["discriminator"]["mapping"][part]})
            continue
        path, table, node = (*path, part), node, _child(node, part)
    if detail["type"].startswith("union_tag"):
        tag = node["discriminator"]
        return KeyLocation((*path, tag["propertyName"]), {"enum": list(tag["mapping"])}, node)
    return KeyLocation(path, node, table)


@cache
def _schema() -> Schema:
    return Config.model_json_schema()


def _child(node: Schema, part: str | int) -> Schema:
    if isinstance(part, int):
        return _followed(node["items"])
    return _followed(node.get("properties", {}).get(part) or node.get("additionalProperties") or {})


def _followed(node: Schema) -> Schema:
    """Resolve references, and skip the null that stands for an absent key (TOML has no null)."""
    match node:
        case {"$ref": str(name)}:
            return _followed(_schema()["$defs"][name.rpartition("/")[2]])
        case {"anyOf": [only, {"type": "null"}]}:
            return _followed(only)
        case _:
            return node


def _where(path: KeyPath, document: Schema) -> str:
    match path:
        case ("teams" | "team_folders" as kind, int(index), *rest):
            team = document[kind][index]
            name = team.get("id") if isinstance(team, dict) else None
            table = f"[[{kind}]] #{index + 1}{f' ({toml_key(name)})' if isinstance(name, str) else ''}"
        case ("teams" | "team_folders" as kind,):
            table, rest = f"[[{kind}]]", []
        case ("models" | "database" | "tools" as kind, str(name), *rest):
            table = f"[{kind}.{toml_key(name)}]"
        case (str(name),) if name not in Config.model_fields and not isinstance(document[name], dict | list):
            return f"{toml_key(name)}, at the top of the file"
        case (section, *rest):
            table = f"[{toml_key(str(section))}]"
    parts = (f" #{part + 1}" if isinstance(part, int) else f".{toml_key(part)}" for part in rest)
    return f"{table} {''.join(parts).lstrip('.')}".rstrip()


def _what(detail: ErrorDetails, place: KeyLocation) -> str:
    key, value = place.path[-1], detail["input"]
    match detail["type"]:
        case "value_error":
            return str(detail["ctx"]["error"])
        case "extra_forbidden" if len(place.path) == 1:
            return _unknown_at_top(str(key), value)
        case "extra_forbidden":
            return f"unknown key{did_you_mean(str(key), list(place.table['properties']))}"
        case "missing" | "union_tag_not_found":
            return f"needed, but missing; expected {_expected(place.wants)}"
        case "union_tag_invalid":
            value = value[key]
    return f"expected {_expected(place.wants)}{'' if key in _NOT_REPEATED else f', got {toml_value(value)}'}"


def _unknown_at_top(key: str, value: object) -> str:
    sections = _schema()["properties"]
    if isinstance(value, dict | list):
        return f"unknown table{did_you_mean(key, list(sections))}"
    homes = [name for name, node in sections.items() if key in _followed(node).get("properties", {})]
    return f"unknown key; did you mean {either(f'[{home}] {key}' for home in homes)}?" if homes else "unknown key"


def _expected(wants: Schema) -> str:
    match wants:
        case {"enum": list(choices)}:
            return either(map(toml_value, choices))
        case {"pattern": _, "description": str(words)}:
            return words
        case {"type": "string"}:
            return "a string"
        case {"type": "integer"}:
            return f"a whole number{_bounds(wants)}"
        case {"type": "number"}:
            return f"a number{_bounds(wants)}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "array", "items": items}:
            return f"a list of {'strings' if items.get('type') == 'string' else 'tables'}"
        case _:
            return "a table"


def _bounds(wants: Schema) -> str:
    match wants:
        case {"minimum": low, "maximum": high}:
            return f" from {low} to {high}"
        case {"minimum": low}:
            return f" of at least {low}"
        case {"exclusiveMinimum": low}:
            return f" above {low}"
        case _:
            return ""
