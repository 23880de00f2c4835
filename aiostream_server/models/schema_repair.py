"""Repairs the JSON schema of a tool's arguments for strict providers: one bad schema fails every question of its team.

The result is what all of these take: OpenAI's check of function schemas (arrays have `items`, objects `properties`, no
`anyOf` at the top), JSON Schema 2020-12 (Anthropic), and Gemini's subset of OpenAPI 3.0: `type` is one word,
`nullable` instead of null, an `enum` of strings, an `anyOf` alone in its schema, no `$ref`, `const`, `oneOf`, `allOf`
or `additionalProperties`. https://ai.google.dev/api/caching#Schema

A repair only loosens: what the old schema allows, the new one allows, too. What the new one cannot say stands in the
description.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiostream_server.models.schema_parts import (
    Schema,
    and_told,
    annotations,
    any_of,
    any_value,
    as_json,
    bounds,
    description_of,
    flattened,
    has_type,
    is_count,
    is_null,
    is_text,
    kind_of,
    normal_types,
    type_of,
)
from aiostream_server.models.schema_references import References

_MAX_NODES: Final = 1_500
_MAX_DEPTH: Final = 24
_PROPERTY_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_FORMATS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"date-time"}),
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
}
_COUNTS: Final[dict[str, tuple[str, ...]]] = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}
_SILENTLY_LEFT_OUT: Final = frozenset(
    {"$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "id", "examples", "example", "deprecated"}
)
_READ: Final = frozenset(
    {
        *("type", "title", "description", "default", "nullable", "enum", "const", "format", "pattern", "minimum"),
        *("maximum", "minLength", "maxLength", "minItems", "maxItems", "items", "prefixItems", "properties"),
        *("required", "anyOf", "oneOf", "allOf", "$ref", "additionalProperties", "exclusiveMinimum"),
        "exclusiveMaximum",
    }
)


@dataclass(frozen=True, slots=True)
class RepairedSchema:
    """`repairs` and `problems` have a line each, with the place; `problems` are what a provider may still refuse."""

    schema: Schema
    repairs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def repaired(schema: object) -> RepairedSchema:
    """The schema of a tool's arguments, made acceptable. Takes anything, and changes nothing of it."""
    repair = _Repair(schema)
    made = repair.top()
    return RepairedSchema(made, tuple(dict.fromkeys(repair.repairs)), tuple(dict.fromkeys(repair.problems)))


class _Repair:
    def __init__(self, root: object) -> None:
        self._root = root
        self._nodes = 0
        self._depth = 0
        self.repairs: list[str] = []
        self.problems: list[str] = []
        self._references = References(root, note=self._note, problem=self.problems.append)

    def top(self) -> Schema:
        if self._root is None or self._root == {}:
            return {"type": "object", "properties": {}}
        made = self._node(self._root, "") if isinstance(self._root, Mapping) else {}
        if "anyOf" in made:
            made = self._joined(made, made["anyOf"], "")
        made.pop("nullable", None)
        if made.get("type") != "object":
            self.problems.append("the arguments are not an object: models are told that there are none")
            return {"type": "object", "properties": {}}
        return made

    def _node(self, schema: object, path: str) -> Schema:
        self._nodes += 1
        if self._nodes > _MAX_NODES or self._depth > _MAX_DEPTH:
            self.problems.append("the schema is too large: its inner parts are not told to models")
            return any_value()
        self._depth += 1
        try:
            with self._references.expanding():
                return self._read(schema, path)
        finally:
            self._depth -= 1

    def _read(self, schema: object, path: str) -> Schema:
        if schema is True or schema == {}:
            self._note(path, "a value of any type")
            return any_value()
        if not isinstance(schema, Mapping):
            self._note(path, "is no schema")
            return any_value()
        flat = self._references.flat(schema, path)
        if flat is None:
            return self._annotated(any_value(), schema)
        for key in flat.keys() - _READ - _SILENTLY_LEFT_OUT:
            if not str(key).startswith("x-"):
                self._note(path, f"{key} is left out")
        if "anyOf" in flat or "oneOf" in flat:
            return self._alternatives(flat, path)
        if "enum" in flat or "const" in flat:
            return self._enumeration(flat, path)
        return self._typed(flat, path)

    # Alternatives

    def _alternatives(self, flat: Schema, path: str) -> Schema:
        both = [flat.pop(key) for key in ("anyOf", "oneOf") if key in flat]
        branches = [branch for branch in (both[0] if isinstance(both[0], list) else []) if branch is not False]
        if len(both) > 1:
            self._note(path, "oneOf beside anyOf is left out")
        base = flat.keys() - {"title", "description", "default", "nullable"} - _SILENTLY_LEFT_OUT
        if not branches or (base and not any(map(has_type, branches))):
            self._note(path, "alternatives without a type are left out")  # such as `required` in one way or another
            return self._read({**flat, "type": flat.get("type", type_of(flat) or "object")}, path)
        if base:
            self._note(path, "alternatives are joined with what stands beside them")
            whole = self._read(flat, path)
            made = [self._node(branch, path) for branch in branches if not is_null(branch)]
            return self._joined(whole, made, path) if whole.get("type") == "object" else whole
        made = [self._node(branch, path) for branch in branches if not is_null(branch)]
        nullable = len(made) < len(branches) or flat.get("nullable") is True
        if nullable:
            self._note(path, "null is told as nullable")
        return self._annotated(any_of(made, nullable=nullable), flat)

    def _joined(self, base: Schema, others: Sequence[Schema], path: str) -> Schema:
        """One object for several: it has the properties of all, and requires what all require."""
        objects = [each for each in (*flattened([base]), *flattened(others)) if each.get("type") == "object"]
        if not objects:
            return base
        alternatives = objects[1:] if base.get("type") == "object" else objects
        if not path:
            self.repairs.append("the schema: alternatives at the top are joined")
        properties: dict[str, list[Schema]] = {}
        for each in objects:
            for name, schema in each["properties"].items():
                if schema not in properties.setdefault(name, []):
                    properties[name].append(schema)
        required = [
            name for name in objects[0].get("required", ()) if objects[0] is base or self._all_have(name, objects)
        ]
        if objects[0] is base and len(alternatives) == len(flattened(others)):
            required += [
                name
                for name in properties
                if name not in required and alternatives and self._all_have(name, alternatives)
            ]
        made = {**annotations(base), "type": "object"}
        made["properties"] = {name: any_of(schemas) for name, schemas in properties.items()}
        return {**made, "required": required} if required else made

    def _all_have(self, name: str, objects: Iterable[Schema]) -> bool:
        return all(name in each.get("required", ()) for each in objects)

    # Values

    def _enumeration(self, flat: Schema, path: str) -> Schema:
        values = flat.pop("enum", None)
        if "const" in flat:
            values = [flat.pop("const")]
            self._note(path, "const is told as an enum")
        if not isinstance(values, list) or not values:
            self._note(path, "an empty enum is left out")
            return self._typed(flat, path)
        said = [value for value in values if value is not None]
        if len(said) < len(values):
            flat["nullable"] = True
            self._note(path, "null in an enum is told as nullable")
        declared = normal_types(flat.get("type"))
        if (
            all(isinstance(value, str) and value for value in said)
            and said
            and declared in ([], ["string"], ["string", "null"])
        ):
            made = {"type": "string", **annotations(flat), "enum": list(dict.fromkeys(said))}
            return {**made, "nullable": True} if flat.get("nullable") is True or "null" in declared else made
        if said:
            self._note(path, "an enum of other values than strings is told in the description")
        kinds = declared or list(dict.fromkeys(map(kind_of, said))) or ["string"]
        told = and_told(flat.get("description"), f"one of {', '.join(map(as_json, said))}" if said else "")
        flat = {key: value for key, value in flat.items() if key not in ("pattern", "format")}
        return self._typed({**flat, "description": told, "type": kinds if len(kinds) > 1 else kinds[0]}, path)

    def _typed(self, flat: Schema, path: str) -> Schema:
        types = normal_types(flat.get("type"))
        if not types and (kind := type_of(flat)) is not None:
            types = [kind]
            self._note(path, f"the type {kind} was not said")
        nullable = flat.get("nullable") is True or "null" in types
        if isinstance(flat.get("type"), list) or "null" in types:
            self._note(path, "a list of types is told as anyOf or nullable")
        elif types and types != [flat.get("type")] and "type" in flat:
            self._note(path, f"the type {flat['type']!r:.40} is told as {types[0]}")
        types = [kind for kind in types if kind != "null" and not (kind == "integer" and "number" in types)]
        if not types and not nullable:
            self._note(path, "a value of any type")
            return self._annotated(any_value(), flat)
        branches = [self._of_type(kind, flat, path) for kind in types or ["string"]]
        if len(branches) == 1:
            return {**branches[0], "nullable": True} if nullable else branches[0]
        plain = [
            {key: value for key, value in each.items() if key not in ("title", "description", "default")}
            for each in branches
        ]
        return self._annotated(any_of(plain, nullable=nullable), {**flat, **description_of(branches[0])})

    def _of_type(self, kind: str, flat: Schema, path: str) -> Schema:
        made: Schema = {"type": kind, **annotations(flat)}
        self._add_format(made, flat, path)
        made |= {key: flat[key] for key in _COUNTS.get(kind, ()) if is_count(flat.get(key))}
        match kind:
            case "string":
                if isinstance(pattern := flat.get("pattern"), str) and self._is_pattern(pattern, path):
                    made["pattern"] = pattern
            case "number" | "integer":
                made |= bounds(flat)
            case "array":
                made["items"] = self._items(flat, path)
            case "object":
                self._add_properties(made, flat, path)
        return made

    def _add_format(self, made: Schema, flat: Schema, path: str) -> None:
        known, said = _FORMATS.get(made["type"]), flat.get("format")
        if known is None or not isinstance(said, str):
            return
        if said in known:
            made["format"] = said
        else:
            self._note(path, f"the format {said:.40} is told in the description")
            made["description"] = and_told(made.get("description"), f"format: {said:.40}")

    def _is_pattern(self, pattern: str, path: str) -> bool:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError):
            self._note(path, "a pattern that is no regular expression is left out")
            return False
        return True

    def _items(self, flat: Schema, path: str) -> Schema:
        items, prefix = flat.get("items"), flat.get("prefixItems")
        parts = prefix if isinstance(prefix, list) else items if isinstance(items, list) else None
        if parts is not None:
            self._note(path, "the types of a tuple are told as alternatives")
            more = [items] if isinstance(prefix, list) and isinstance(items, Mapping) else []
            made = [self._node(part, f"{path}[]") for part in (*parts, *more) if part is not False]
            return any_of(made) if made else any_value()
        if items is None or items is False:
            self._note(path, "an array without items")
            return any_value()
        return self._node(items, f"{path}[]")

    def _add_properties(self, made: Schema, flat: Schema, path: str) -> None:
        given = flat.get("properties")
        if not isinstance(given, Mapping):
            given = {}
            self._note(path, "an object without properties")
        properties: dict[str, Schema] = {}
        for name, schema in given.items():
            if not isinstance(name, str) or schema is False:
                self._note(path, f"the property {name!r:.60} is left out")
                continue
            place = f"{path}.{name}" if path else name
            if not _PROPERTY_NAME.fullmatch(name):
                self.problems.append(f"{place:.100}: some providers refuse such a name of a property")
            properties[name] = self._node(schema, place)
        asked = flat.get("required")
        required = list(dict.fromkeys(filter(is_text, asked if isinstance(asked, list) else ())))
        for name in required:
            if name not in properties and given.get(name) is not False:
                self._note(path, f"the required property {name!r:.60} was not described")
                properties[name] = any_value()
        made["properties"] = properties
        if required := [name for name in required if name in properties]:
            made["required"] = required
        if isinstance(more := flat.get("additionalProperties"), Mapping) and more and not properties:
            self._note(path, "the type of other properties is told in the description")
            told = f"any names, each with a value like {as_json(more)}"
            made["description"] = and_told(made.get("description"), told)

    def _annotated(self, made: Schema, flat: Mapping[str, Any]) -> Schema:
        """Add title and description. An `anyOf` stands alone in its schema, so its branches get them."""
        told = annotations(flat)
        if "anyOf" not in made:
            return {**made, **told}
        if (text := told.get("description")) is None:
            return made
        return any_of([each if "description" in each else {**each, "description": text} for each in made["anyOf"]])

    def _note(self, path: str, what: str) -> None:
        self.repairs.append(f"{path or 'the schema'}: {what}")
