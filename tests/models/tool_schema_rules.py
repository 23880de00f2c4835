"""What strict providers check of a tool's schema, written anew from their documentation and error messages.

OpenAI: https://platform.openai.com/docs/guides/function-calling. Gemini: https://ai.google.dev/api/caching#Schema.
Anthropic and Mistral check that it is JSON Schema 2020-12.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

_TYPES = {"string", "number", "integer", "boolean", "array", "object"}
_GEMINI = {
    *("type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required"),
    *("minLength", "maxLength", "pattern", "example", "anyOf", "default", "items", "minimum", "maximum"),
}
_GEMINI_FORMATS = {"string": {"enum", "date-time"}, "integer": {"int32", "int64"}, "number": {"float", "double"}}


def complaints(schema: Any) -> list[str]:
    """What any of them would refuse."""
    found = [*_openai_top(schema), *_inside(schema, "")]
    if not found:
        Draft202012Validator.check_schema(schema)
    return found


def _openai_top(schema: Any) -> Iterator[str]:
    if schema.get("type") != "object":
        yield "schema must be a JSON Schema of 'type: \"object\"'"
    for word in ("anyOf", "oneOf", "allOf", "enum", "not", "nullable"):
        if word in schema:
            yield f"schema must not have '{word}' at the top level"


def _inside(schema: Any, path: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        yield f"{path}: {schema!r} is no schema"
        return
    for word in schema.keys() - _GEMINI:
        yield f"{path}: Unknown name {word!r}: Cannot find field."
    if "anyOf" in schema:
        if len(schema) > 1:
            yield f"{path}: when using any_of, it must be the only field set"
        if len(schema["anyOf"]) < 2:
            yield f"{path}: an any_of of one"
        for branch in schema["anyOf"]:
            yield from _inside(branch, path)
        return
    yield from _of_one_type(schema, path)


def _of_one_type(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind not in _TYPES:
        yield f"{path}: didn't specify the schema type field, or {kind!r}"
    if "format" in schema and schema["format"] not in _GEMINI_FORMATS.get(str(kind), ()):
        yield f"{path}: only 'enum' and 'date-time' are supported for STRING type"
    if "enum" in schema and (kind != "string" or not schema["enum"] or not all(_is_word(v) for v in schema["enum"])):
        yield f"{path}: enum: only allowed for STRING type, and must not be empty"
    if kind == "array":
        if "items" not in schema:
            yield f"{path}: array schema missing items"
        else:
            yield from _inside(schema["items"], f"{path}[]")
    if kind == "object":
        yield from _of_an_object(schema, path)


def _of_an_object(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(schema.get("properties"), Mapping):
        yield f"{path}: object schema missing properties"
        return
    for name, inner in schema["properties"].items():
        yield from _inside(inner, f"{path}.{name}")
    for name in schema.get("required", ()):
        if name not in schema["properties"]:
            yield f"{path}: required: property is not defined: {name}"


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def allows(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether the schema allows the value, with OpenAPI's meaning of `nullable`."""
    return bool(Draft202012Validator(_with_null(schema)).is_valid(value))


def _with_null(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_null(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {key: _with_null(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made
