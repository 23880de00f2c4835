"""The words that problem lines share: names and values as TOML writes them, and what was probably meant."""

import json
import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_SHOWN: Final = 60


def toml_key(name: str) -> str:
    """`default` as it is, `"gpt-4.1"` in quotes."""
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def shown(value: object) -> str:
    """A value of the file, on one line and not long."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str() if len(value) > _LONGEST_SHOWN:
            return _quoted(value[:_LONGEST_SHOWN] + "...")
        case str():
            return _quoted(value)
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def either(names: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of a problem line: the nearest names, or all of them where none is near."""
    known = list(dict.fromkeys(known))
    if near := get_close_matches(name.lower(), known, n=2):
        return f"; did you mean {either(map(toml_key, near))}?"
    return f"; known: {', '.join(map(toml_key, known))}" if known else "; there is none"
