"""How JSON is asked for: by its schema, as `json_object`, or in words, as the provider's model takes it.

https://platform.openai.com/docs/guides/structured-outputs. DeepSeek knows no schemas, LM Studio nothing else, Qwen
neither while it thinks, and others no `response_format` at all. A refusal leads to the next form, where the schema
stands in the system message. What is refused because of one schema is remembered for that schema only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from autogen_core.models import LLMMessage, SystemMessage
from msgspec import structs
from pydantic import BaseModel

from aiostream_server.models.openai.sequences import Wire
from aiostream_server.models.provider import ModelRequest

_KEY: Final = "response_format"
_REFUSING: Final = frozenset({400, 404, 405, 422, 501})
_ABOUT_THE_FORMAT: Final = re.compile(
    r"response[_ ]?format|response mime type|json[_ ](?:schema|object|mode)|structured[_ ]outputs?", re.IGNORECASE
)
_ABOUT_THIS_SCHEMA: Final = re.compile(
    r"invalid schema|schema (?:is |contains|exceeds|has |too )|properties|grammar|\$ref|nesting", re.IGNORECASE
)
_WANTS_THE_WORD: Final = re.compile(r"contain the word \W*json", re.IGNORECASE)
_MOST_SCHEMAS: Final = 1000
_IN_WORDS: Final = "Answer with one JSON object, without anything around it."

_log = structlog.get_logger()


class OutputFormats:
    """What one provider's model refused, of the forms that JSON can be asked for in."""

    def __init__(self) -> None:
        self._refused: set[str] = set()
        self._says_json = False

    @property
    def takes_schemas(self) -> bool:
        """Until a schema was refused for being one."""
        return "json_schema" not in self._refused

    def asked(self, request: ModelRequest, options: Wire) -> tuple[ModelRequest, Wire]:
        """The request with its `json_output` among the options, or in its messages.

        A format that is an option already is sent as it is: the caller falls back by itself (`runs.last_call`).
        """
        output = request.json_output or options.get(_KEY)
        if output is not True and not isinstance(output, type):
            return request, options
        wire, words = _wire(output), ""
        if wire["type"] == "json_schema" and self._is_refused(wire):
            words = f"{_IN_WORDS} It fits this JSON schema:\n{json.dumps(wire['json_schema']['schema'])}"
            wire = {"type": "json_object"}
        is_refused = self._is_refused(wire)
        if not words and (is_refused or (self._says_json and wire["type"] == "json_object")):
            words = _IN_WORDS
        options = {name: value for name, value in options.items() if name != _KEY}
        return _with_words(request, words), options if is_refused else {**options, _KEY: wire}

    def learn(self, request: ModelRequest, sent: Wire, status: int, error: bytes) -> bool:
        """Learn from the refusal of the `sent` options; whether `request` would now be sent differently."""
        wire = sent.get(_KEY)
        is_ours = bool(request.json_output) or isinstance(request.options.get(_KEY), type)
        text = error.decode("utf-8", "replace")
        if not isinstance(wire, Mapping) or status not in _REFUSING:
            return False
        if _WANTS_THE_WORD.search(text):
            is_new, self._says_json = not self._says_json, True
            return is_new and is_ours
        if not _ABOUT_THE_FORMAT.search(text):
            return False
        of_one = wire.get("type") == "json_schema" and _ABOUT_THIS_SCHEMA.search(text)
        refused = _name(wire) if of_one else str(wire.get("type"))
        if len(self._refused) >= _MOST_SCHEMAS:  # names of schemas come from clients, too
            self._refused = {name for name in self._refused if ":" not in name}
        _log.warning("model_output_format_refused", form=refused)
        self._refused.add(refused)
        return is_ours

    def _is_refused(self, wire: Mapping[str, Any]) -> bool:
        return wire["type"] in self._refused or _name(wire) in self._refused


def _wire(output: bool | type[BaseModel]) -> Wire:
    if isinstance(output, bool):
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": response_schema(output)}


def _name(wire: Mapping[str, Any]) -> str:
    return f"{wire['type']}:{wire.get('json_schema', {}).get('name', '')}"


def _with_words(request: ModelRequest, words: str) -> ModelRequest:
    """The request without a format, and with `words` at the end of its leading system message."""
    if not words:
        return structs.replace(request, json_output=False)
    messages: Sequence[LLMMessage] = request.messages
    if messages and isinstance(first := messages[0], SystemMessage):
        messages, moved = [SystemMessage(content=f"{first.content}\n\n{words}"), *messages[1:]], 0
    else:
        messages, moved = [SystemMessage(content=words), *messages], 1
    kept = {index + moved: answer for index, answer in request.kept.items()}
    return structs.replace(request, messages=messages, json_output=False, kept=kept)


def response_schema(model: type[BaseModel]) -> Wire:
    """The `json_schema` of a `response_format`, in the strict dialect of structured outputs.

    https://platform.openai.com/docs/guides/structured-outputs: every property is required, no other is allowed, there
    are no defaults, and a `$ref` stands alone.
    """
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
