"""What a schema says, read leniently: its types, alternatives, annotations. The pure parts of `schema_repair`."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

_MAX_TOLD_CHARS: Final = 300

_TYPES: Final[dict[str, str]] = {
    **{name: name for name in ("string", "number", "integer", "boolean", "array", "object", "null")},
    **dict.fromkeys(("str", "text", "char", "date", "datetime", "time", "uuid", "url", "file", "binary"), "string"),
    **dict.fromkeys(("int", "int32", "int64", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("bool",), "boolean"),
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("dict", "map", "mapping", "struct", "record"), "object"),
    **dict.fromkeys(("none", "nil"), "null"),
}
_SIGNS_OF_A_TYPE: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("object", frozenset({"properties", "required", "additionalProperties", "patternProperties"})),
    ("array", frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"})),
    ("string", frozenset({"minLength", "maxLength", "pattern", "format"})),
    ("number", frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})),
)


def any_value(depth: int = 1) -> Schema:
    """Any value. Each `type` is said, because Gemini refuses a schema without one."""
    types: list[Schema] = [{"type": "string", "nullable": True}, {"type": "number"}, {"type": "boolean"}]
    types.append({"type": "object", "properties": {}})
    if depth:
        types.append({"type": "array", "items": any_value(depth - 1)})
    return {"anyOf": types}


def merge(flat: Schema, part: Mapping[str, Any]) -> None:
    """Add what `part` says to `flat`, which has the last word."""
    for key, value in part.items():
        known = flat.get(key)
        if key == "properties" and isinstance(known, Mapping) and isinstance(value, Mapping):
            both = {
                name: {"allOf": [known[name], value[name]]}
                for name in known.keys() & value.keys()
                if known[name] != value[name]
            }
            flat[key] = {**value, **known, **both}
        elif key == "required" and isinstance(known, list) and isinstance(value, list):
            flat[key] = [*known, *(name for name in value if name not in known)]
        elif key == "allOf" and isinstance(known, list) and isinstance(value, list):
            flat[key] = [*known, *value]
        else:
            flat.setdefault(key, value)


def any_of(schemas: Sequence[Schema], *, nullable: bool = False) -> Schema:
    distinct: list[Schema] = []
    for schema in flattened(schemas):
        if schema not in distinct:
            distinct.append(schema)
    if nullable:
        distinct = [{**schema, "nullable": True} for schema in distinct] or [{"type": "string", "nullable": True}]
    if not distinct:
        return any_value()
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def flattened(schemas: Iterable[Schema]) -> list[Schema]:
    return [inner for schema in schemas for inner in schema.get("anyOf", [schema])]


def annotations(flat: Mapping[str, Any]) -> Schema:
    """Title, description and default, where they are what they should be."""
    told: Schema = {key: flat[key] for key in ("title", "description") if isinstance(flat.get(key), str) and flat[key]}
    if "default" in flat and is_json(flat["default"]):
        told["default"] = flat["default"]
    return told


def description_of(schema: Schema) -> Schema:
    return {"description": schema["description"]} if "description" in schema else {}


def and_told(description: object, more: str) -> str:
    more = more if len(more) <= _MAX_TOLD_CHARS else f"{more[:_MAX_TOLD_CHARS]}…"
    said = description if isinstance(description, str) else ""
    return f"{said} ({more})".strip() if more else said


def normal_types(said: object) -> list[str]:
    """JSON Schema's names of the types, each once."""
    names = [name for name in (said if isinstance(said, list) else [said]) if isinstance(name, str)]
    return list(dict.fromkeys(filter(None, (_TYPES.get(name.lower()) for name in names))))


def type_of(flat: Mapping[str, Any]) -> str | None:
    return next((kind for kind, signs in _SIGNS_OF_A_TYPE if not signs.isdisjoint(flat)), None)


def has_type(branch: object) -> bool:
    if not isinstance(branch, Mapping):
        return branch is True
    says = {"type", "properties", "items", "prefixItems", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"}
    return not says.isdisjoint(branch) or not branch


def is_null(branch: object) -> bool:
    if not isinstance(branch, Mapping):
        return branch is None
    return (
        normal_types(branch.get("type")) == ["null"] or branch.get("enum") == [None] or branch.get("const", 0) is None
    )


def kind_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def bounds(flat: Mapping[str, Any]) -> Schema:
    """An exclusive bound becomes an inclusive one, which allows more."""
    pairs = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
    said = {key: flat.get(key) if is_number(flat.get(key)) else flat.get(other) for key, other in pairs}
    return {key: bound for key, bound in said.items() if is_number(bound)}


def is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "…"
