"""JSON schemas, derived from the types of requests (pydantic) and of answers (typed dicts), for `openapi.json`.

https://json-schema.org/draft/2020-12
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import models_json_schema
from pydantic_core import CoreSchema

from aiostream_server.intake.body import Shape

Schema: TypeAlias = dict[str, Any]
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
REF: Final = "#/components/schemas/{model}"


class OrText:
    """In a JSON schema: a text, or what is annotated."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}


def request_schemas(*shapes: type[Shape]) -> dict[str, Schema]:
    """Schemas by class name, of these shapes and of those in them. Null is allowed where a field may be absent."""
    _, document = models_json_schema([(shape, "validation") for shape in shapes], ref_template=REF)
    return {name: _nullable(without_titles(schema)) for name, schema in document["$defs"].items()}


def answer_schemas(*types: type[Mapping[str, Any]]) -> dict[str, Schema]:
    """The schemas of these typed dicts and of those in them, by class name."""
    _, components = msgspec.json.schema_components(types, ref_template=REF.replace("{model}", "{name}"))
    return {name: without_titles(schema) for name, schema in components.items()}


def ref(name: str) -> Schema:
    return {"$ref": REF.format(model=name)}


def messages_schema(message: Schema) -> Schema:
    """A list of messages, of which at least one is the user's."""
    users = {"type": "object", "required": ["role"], "properties": {"role": {"const": "user"}}}
    return {"type": "array", "minItems": 1, "items": message, "contains": users}


def without_titles(schema: Any) -> Any:
    """Leave out titles, which repeat names, and defaults. A property may be called so itself."""
    if isinstance(schema, list):
        return [without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("title", "default")}
    return {key: _each(value) if key == "properties" else without_titles(value) for key, value in kept.items()}


def _each(properties: Schema) -> Schema:
    return {name: without_titles(schema) for name, schema in properties.items()}


def _nullable(schema: Schema) -> Schema:
    properties, required = schema.get("properties", {}), schema.get("required", ())
    optional = {name: _or_null(field) for name, field in properties.items() if name not in required}
    return {**schema, "properties": {**properties, **optional}}


def _or_null(field: Schema) -> Schema:
    null = {"type": "null"}
    return field if field == null or null in field.get("anyOf", ()) else {"anyOf": [field, null]}
