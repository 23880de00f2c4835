"""Texts in a component that AutoGen fills in with `str.format`, and what a file may ask for in one.

A width makes any amount of text of a word, and a dot or an index reaches into what is filled in.
"""

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any, Final

_KEYS: Final = ("selector_prompt", "final_answer_prompt", "tool_call_summary_format", "format_string")
_MOST_FIELDS: Final = 100
_FORMATTER: Final = Formatter()
_HARMLESS_FORMAT: Final = re.compile(r"(?!.*\d{3})[^{}]{0,16}", re.DOTALL)
_PLAIN: Final = "takes trust: plain names in braces, {result}, take none"


def templates(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Those of one object, by their keys; of autogen 0.7.5."""
    keys = (
        (*_KEYS, "path") if "json_schema" in found else _KEYS
    )  # the path of an `HttpTool`, which has a schema as well
    return ((key, found[key]) for key in keys if isinstance(found.get(key), str))


def fault_of(template: str, *, trusted: bool = False) -> str | None:
    """What is wrong with it, to be said after its key; None where nothing is."""
    try:
        fields = [(name, form or "", how) for _, name, form, how in _FORMATTER.parse(template) if name is not None]
    except ValueError as exc:
        return f'is no template: {exc}; a brace that is meant is written twice, "{{{{"'
    for name, _, how in fields:
        if not name or name.isdecimal():
            return "has a field without a name: AutoGen fills in names only; a brace that is meant is written twice"
        if how not in (None, "r", "s", "a"):
            return f"converts a field by !{how}, which there is not"
    return None if trusted else _risk_of(fields)


def _risk_of(fields: list[tuple[str, str, str | None]]) -> str | None:
    if len(fields) > _MOST_FIELDS:
        return f"has more than {_MOST_FIELDS} fields"
    for name, form, _ in fields:
        if "." in name or "[" in name:
            return f"reaches into what is filled in, {{{name[:40]}}}, which {_PLAIN}"
        if not _HARMLESS_FORMAT.fullmatch(form):
            return f"formats {{{name[:40]}}} by :{form[:40]}, which {_PLAIN}"
    return None
