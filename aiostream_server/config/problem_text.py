"""Parts of the lines that name problems: keys and values as TOML writes them, suggestions, install commands."""

import json
import re
import sys
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LONGEST_SHOWN: Final = 60
_OF_INSTALLER: Final = "EXTRAS"  # in the virtual environments that scripts/install makes


def toml_key(name: str) -> str:
    """Quote a name where TOML needs it: `default`, `"gpt-4.1"`."""
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def toml_value(value: object) -> str:
    """A value of the file on one line, shortened. Tables and lists are not repeated."""
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
    """The end of a problem line: the most similar names, or all names if none is similar."""
    known = list(dict.fromkeys(known))
    if near := get_close_matches(name.lower(), known, n=2):
        return f"; did you mean {either(map(toml_key, near))}?"
    return f"; known: {', '.join(map(toml_key, known))}" if known else "; there is none"


def mcp_version_problem() -> str | None:
    """What is wrong with the installed package `mcp`: AutoGen 0.7.5 cannot import version 2 of it."""
    try:
        installed = version("mcp")
    except PackageNotFoundError:
        return None
    if installed.partition(".")[0] == "1":
        return None
    return f'MCP tools need version 1 of the package mcp, and {installed} is installed: pip install "mcp>=1.30,<2"'


def install_hint(extra: str) -> str:
    """The command that installs an optional dependency. `pip install aiostream-server` fails: it is on no index."""
    if (Path(sys.prefix) / _OF_INSTALLER).is_file():
        return f"scripts/install --upgrade --with {extra} in the source tree of this version"
    return f"pip install '.[{extra}]' in a clone of aiostream-server (or the wheel's path instead of the dot)"


def redis_problem() -> str | None:
    """Why runs cannot be shared in Redis; None if its client is installed."""
    return None if find_spec("redis") else f'[runs] store = "redis" needs: {install_hint("redis")}'
