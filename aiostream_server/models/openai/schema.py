"""A pydantic model's JSON schema in the strict dialect that structured outputs take.

https://platform.openai.com/docs/guides/structured-outputs: every property is required, no other is allowed, there are
no defaults, and a `$ref` stands alone.
"""

from typing import Any, TypeAlias

from pydantic import BaseModel

_Schema: TypeAlias = dict[str, Any]


def response_schema(model: type[BaseModel]) -> _Schema:
    """The `json_schema` of a `response_format`."""
    return {"name": model.__name__[:64], "strict": True, "schema": _strict(model.model_json_schema())}


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    strict = {key: _strict_member(key, value) for key, value in node.items() if key != "default"}
    if "properties" in strict:
        strict |= {"additionalProperties": False, "required": list(strict["properties"])}
    return strict


def _strict_member(key: str, value: Any) -> Any:
    if key in ("properties", "$defs"):  # names, not keywords: a property may be called "default"
        return {name: _strict(schema) for name, schema in value.items()}
    if key in ("enum", "const", "examples"):  # values, not schemas
        return value
    return _strict(value)
