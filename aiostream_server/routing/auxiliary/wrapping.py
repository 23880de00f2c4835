"""Which form an instruction wants its answer in: JSON with certain keys, an XML tag, or plain text.

A request's own form (`response_format`, a forced tool) takes precedence over what its text says.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from aiostream_server.intake.answer_form import AnswerForm, JsonForm
from aiostream_server.routing.auxiliary.kinds import PLAIN, Wrapping

_READ_CHARS: Final = 6_000
_OBJECT: Final = re.compile(r"\{\s{0,20}[\"']?\w{1,40}[\"']?\s{0,5}:[^{}]{0,400}\}")
_KEY: Final = re.compile(r"[\"']?(\w{1,40})[\"']?\s{0,5}:")
_TAG: Final = re.compile(r"<(\w{0,20}(?:title|name|topic|tags|summary))>[^<>]{0,200}</\1>", re.IGNORECASE)
_SUBMIT: Final = re.compile(r"<tool_name>submit_title</tool_name>")
_JSON: Final = re.compile(r"\bJSON\b", re.IGNORECASE)
_LANGUAGES: Final = frozenset({"language", "lang", "locale", "detected_language"})
_EMOJIS: Final = frozenset({"emoji", "icon"})
_LISTS: Final = frozenset({"tags", "keywords", "topics", "labels"})
_TEXTS: Final = re.compile(
    r"(?:\w{1,20}_)?(?:title|name|topic|heading|label|summary|description)|(?:thread|chat|session)(?:Title|Name)"
)

_MAIN: Final = {"title": "title", "tags": "tags", "summary": "summary"}
_LIMITS: Final = frozenset({"enum", "const", "pattern", "format", "minLength", "minItems", "$ref"})

Holds = Literal["text", "list", "language", "emoji"]


def wrapping_of(wanted: str, instruction: str, form: AnswerForm | None) -> Wrapping | None:
    """None for a form that holds something else."""
    if form is None or (isinstance(form, JsonForm) and not form.name):
        found = _in_words(wanted, instruction[:_READ_CHARS])
        return found if form is None or found.fields else Wrapping(((_MAIN[wanted], _main(wanted)),))
    if isinstance(form, JsonForm):
        fields = _fields_of_schema(form.schema.schema, wanted)
        return None if fields is None else Wrapping(fields)
    for tool in form.tools:
        if (fields := _fields_of_schema(tool.parameters.schema, wanted)) is not None:
            return Wrapping(fields, tool=tool.name)
    return None


def words_of_form(form: AnswerForm | None) -> str:
    """What the form says about itself, as an instruction."""
    if form is None:
        return ""
    parts = [form] if isinstance(form, JsonForm) else form.tools
    said = [part.description for part in parts]
    for part in parts:
        schema = part.schema.schema if isinstance(part, JsonForm) else part.parameters.schema
        said += [found["description"] for found in _properties(schema).values() if "description" in found]
    return "\n".join(f"Write {text}" for text in said if isinstance(text, str) and text)


def _in_words(wanted: str, text: str) -> Wrapping:
    if _SUBMIT.search(text):
        return Wrapping(tag="title")
    if _JSON.search(text):
        for found in _OBJECT.finditer(text):
            fields = fields_of(_KEY.findall(found[0]), wanted)
            if fields is not None:
                return Wrapping(fields)
        return Wrapping(((_MAIN[wanted], _main(wanted)),))
    tag = _TAG.search(text)
    return Wrapping(tag=tag[1]) if tag else PLAIN


def fields_of(names: list[str], wanted: str) -> tuple[tuple[str, Holds], ...] | None:
    """What each field of an object holds; None where one is none of ours, or none holds what is wanted."""
    fields = [(name, holds) for name in dict.fromkeys(names) if (holds := _holds(name)) is not None]
    if len(fields) < len(set(names)) or _main(wanted) not in [holds for _, holds in fields]:
        return None
    return tuple(fields)


def _main(wanted: str) -> Holds:
    return "list" if wanted == "tags" else "text"


def _properties(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): found for name, found in properties.items() if isinstance(found, Mapping)}


def _fields_of_schema(schema: Mapping[str, Any], wanted: str) -> tuple[tuple[str, Holds], ...] | None:
    """The required ones, and of the others those that are known."""
    properties, required = _properties(schema), schema.get("required")
    needed = [str(name) for name in required] if isinstance(required, list) else []
    fields = fields_of([name for name in properties if name in needed or _holds(name)], wanted)
    if fields is None or any(name not in properties for name in needed):
        return None
    is_simple = all(
        properties[name].get("type") == ("array" if holds == "list" else "string")
        and _LIMITS.isdisjoint(properties[name])
        for name, holds in fields
    )
    return fields if is_simple else None


def _holds(name: str) -> Holds | None:
    if name in _LANGUAGES:
        return "language"
    if name in _EMOJIS:
        return "emoji"
    if name in _LISTS:
        return "list"
    return "text" if _TEXTS.fullmatch(name) else None
