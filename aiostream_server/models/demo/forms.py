"""The demo model fills a form (a JSON schema, or the arguments of a tool) with what an answer plainly says.

It takes the answer's text for the only text of an object, its number for the only number, and the one value of an
enumeration that it names. It invents nothing: for any other property it says that it cannot fill it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from autogen_core.models import AssistantMessage

from aiostream_server.errors import SchemaNotMet
from aiostream_server.models.demo.conversation import LABEL, DemoReply
from aiostream_server.models.provider import ModelRequest

_NUMBER: Final = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_SAID_NUMBER: Final = re.compile(r"\b(?:is|was|are|=) \**(-?\d[\d,]*(?:\.\d+)?)")
_MAX_DEPTH: Final = 20
_OBJECT: Final = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}


class Unfillable(Exception):
    """Its text is the name of the property."""


def fill_form(request: ModelRequest) -> DemoReply | None:
    """None where the request asks for words. Raises `SchemaNotMet`."""
    if request.tools and request.tool_choice == "required":
        tool = request.tools[0]
        return DemoReply("", tool["name"], _filled(request, tool.get("parameters", _OBJECT)))
    match request.options.get("response_format"):
        case {"type": "json_object"}:
            return DemoReply(_filled(request, _OBJECT))
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return DemoReply(_filled(request, schema))
    return None


def _filled(request: ModelRequest, schema: Mapping[str, Any]) -> str:
    said = [m.content for m in request.messages if isinstance(m, AssistantMessage) and isinstance(m.content, str)]
    answer = said[-1].replace(LABEL, "").strip() if said else ""
    try:
        return json.dumps(Filler(answer, schema).value(schema, "the answer", 0), ensure_ascii=False)
    except Unfillable as exc:
        raise not_filled(exc, "its answer") from exc


def not_filled(what: Unfillable, source: str) -> SchemaNotMet:
    return SchemaNotMet(f"the demo model cannot fill {what} from {source}: it is a set of rules, not a language model")


@dataclass(frozen=True, slots=True)
class Filler:
    """`answer` is the only text; numbers and values of an enumeration are looked for in `spoken`, by default there."""

    answer: str
    root: Mapping[str, Any]
    spoken: str = ""

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if depth > _MAX_DEPTH or not isinstance(schema, Mapping):
            raise Unfillable(name)
        if isinstance(reference := schema.get("$ref"), str):
            return self.value(self._at(reference, name), name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if values := schema.get("enum"):
            return self._named(values, name)
        for alternatives in (schema.get("anyOf"), schema.get("oneOf"), schema.get("allOf")):
            if alternatives:
                return self._first(alternatives, name, depth)
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kinds, list):
            return self._first([{**schema, "type": kind} for kind in kinds], name, depth)
        return self._of_kind(kinds, schema, name, depth)

    def _of_kind(self, kind: str, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match kind:
            case "null":
                return None
            case "object":
                return self._object(schema, name, depth)
            case "array":
                return [self.value(schema.get("items", {}), name, depth + 1)]
            case "number" | "integer":
                return self._number(name, is_whole=kind == "integer")
            case "string" if self.answer and not schema.keys() & {"format", "pattern"}:
                return self.answer
        raise Unfillable(name)

    def _object(self, schema: Mapping[str, Any], name: str, depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        kinds = [each.get("type") for each in properties.values() if isinstance(each, Mapping) and "enum" not in each]
        filled: dict[str, Any] = {}
        for key, each in properties.items():
            kind = each.get("type") if isinstance(each, Mapping) else None
            try:
                if kind in ("string", "number", "integer") and "enum" not in each and kinds.count(kind) > 1:
                    raise Unfillable(repr(key))  # one text cannot be two things
                filled[key] = self.value(each, repr(key), depth + 1)
            except Unfillable:
                if key in required:
                    raise
        return filled

    def _first(self, schemas: Any, name: str, depth: int) -> Any:
        """The first alternative that can be filled."""
        for schema in schemas:
            try:
                return self.value(schema, name, depth + 1)
            except Unfillable:
                continue
        raise Unfillable(name)

    def _named(self, values: list[Any], name: str) -> Any:
        lower = (self.spoken or self.answer).lower()
        named = [value for value in values if re.search(rf"(?<!\w){re.escape(str(value).lower())}(?!\w)", lower)]
        if len(named) != 1:
            raise Unfillable(name)
        return named[0]

    def _number(self, name: str, *, is_whole: bool) -> float:
        text = self.spoken or self.answer
        found = _SAID_NUMBER.findall(text) or _NUMBER.findall(text)
        if len(found) != 1:
            raise Unfillable(name)
        number = float(found[0].replace(",", ""))
        if is_whole and not number.is_integer():
            raise Unfillable(name)
        return int(number) if number.is_integer() else number

    def _at(self, reference: str, name: str) -> Any:
        node: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step and not isinstance(node, Mapping):
                raise Unfillable(name)
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if step else node
        return node
