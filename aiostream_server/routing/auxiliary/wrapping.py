"""Which form an instruction wants its answer in: JSON with certain keys, an XML tag, or plain text."""

import re
from typing import Final, Literal

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

Holds = Literal["text", "list", "language", "emoji"]


def wrapping_of(wanted: str, instruction: str) -> Wrapping:
    text = instruction[:_READ_CHARS]
    if _SUBMIT.search(text):
        return Wrapping(tag="title")
    if _JSON.search(text):
        for found in _OBJECT.finditer(text):
            fields = fields_of(_KEY.findall(found[0]), wanted)
            if fields is not None:
                return Wrapping(fields)
        return Wrapping((("tags", "list"),) if wanted == "tags" else (("title", "text"),))
    tag = _TAG.search(text)
    return Wrapping(tag=tag[1]) if tag else PLAIN


def fields_of(names: list[str], wanted: str) -> tuple[tuple[str, Holds], ...] | None:
    """What each field of an object holds; None where one is none of ours, or none holds what is wanted."""
    fields = [(name, holds) for name in dict.fromkeys(names) if (holds := _holds(name)) is not None]
    main: Holds = "list" if wanted == "tags" else "text"
    if len(fields) < len(set(names)) or main not in [holds for _, holds in fields]:
        return None
    return tuple(fields)


def _holds(name: str) -> Holds | None:
    if name in _LANGUAGES:
        return "language"
    if name in _EMOJIS:
        return "emoji"
    if name in _LISTS:
        return "list"
    return "text" if _TEXTS.fullmatch(name) else None
