"""What environment variables say: overrides of the file's keys, and where the server keeps its own files.

`AIOSTREAM_SERVER__PORT=9000` is `[server] port`:

* Two underscores separate tables and keys. Case does not matter. In the name of a `[models.*]` or `[database.*]` table
  an underscore stands for any character that the name of a variable cannot have: `AIOSTREAM_MODELS__GPT_4_1__BASE_URL`.
* The value is read as TOML if that is possible (`9000`, `true`, `["a", "b"]`) and the key does not want a string.
  Otherwise it is the text itself, so that `AIOSTREAM_SERVER__HOST=127.0.0.1` needs no quotes.
* No variable can set an item of a list, such as `[[teams]]`. `AIOSTREAM_X` without two underscores is no override.
"""

import re
import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from aiostream_server.config.problem_text import toml_key

Document: TypeAlias = Mapping[str, object]
_PREFIX: Final = "AIOSTREAM_"
_STATE_FOLDER: Final = "aiostream-server"
_NOT_UTF_8: Final = re.compile("[\ud800-\udfff]")  # `os.environ` decodes bytes that are not UTF-8 to these


@dataclass(frozen=True, slots=True)
class Override:
    """One variable and the path of its key. `text` may be a secret that was put in the wrong place."""

    variable: str
    path: tuple[str, ...]
    text: str = field(repr=False)

    def value(self) -> object:
        """The text read as TOML, or the text itself."""
        try:
            table = tomllib.loads(f"value = {self.text}")
        except ValueError:
            return self.text
        return table["value"] if table.keys() == {"value"} else self.text


def find_overrides(document: Document, environ: Mapping[str, str]) -> list[Override]:
    """Sorted by name, so that the same environment always gives the same configuration."""
    return [
        Override(variable, _key_path(document, variable[len(_PREFIX) :].split("__")), environ[variable])
        for variable in sorted(environ)
        if variable.upper().startswith(_PREFIX) and "__" in variable[len(_PREFIX) :]
    ]


def split(overrides: Iterable[Override]) -> tuple[list[Override], list[str]]:
    """The overrides that can be applied, and a problem line for each of the others."""
    possible, problems = [], []
    for override in overrides:
        if not override.variable.isascii():
            problems.append(f"{toml_key(override.variable)}: the name of a variable has ASCII letters only")
        elif _NOT_UTF_8.search(override.text):
            problems.append(f"{override.variable}: its value is not UTF-8 text")
        elif override.path[0] in ("teams", "team_folders"):
            problems.append(f"{override.variable}: [[{override.path[0]}]] can only be set in the file, being a list")
        else:
            possible.append(override)
    return possible, problems


def overridden(document: Document, overrides: Iterable[Override], as_text: Container[tuple[str, ...]]) -> Document:
    """The document with the overrides applied. Values with a path in `as_text` are not read as TOML."""
    for override in overrides:
        value = override.text if override.path in as_text else override.value()
        document = _with_value(document, override.path, value)
    return document


def source_of(path: tuple[str | int, ...], document: Document, overrides: Iterable[Override]) -> str | None:
    """The variable that set the key at `path`, or that made a table there that the file does not have."""
    in_file = isinstance(_lookup(document, path), dict)
    for override in overrides:
        if override.path == path or (not in_file and override.path[: len(path)] == path):
            return override.variable
    return None


def state_directory(environ: Mapping[str, str]) -> Path:
    """The folder for the server's own files, which may not exist yet: `$STATE_DIRECTORY` under systemd, which may name
    several of them (the first counts), else the XDG state directory:
    https://specifications.freedesktop.org/basedir-spec/latest/.
    """
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    home = environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME", "/tmp")) / ".local" / "state"  # noqa: S108
    return base / _STATE_FOLDER


def _key_path(document: Document, parts: Sequence[str]) -> tuple[str, ...]:
    path: tuple[str, ...] = ()
    for part in parts:
        table = _lookup(document, path)
        names = [name for name in table if _variable_form(name) == part.upper()] if isinstance(table, dict) else []
        path = (*path, names[0] if names else part.lower())
    return path


def _variable_form(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII).upper()


def _lookup(document: Document, path: Iterable[str | int]) -> object:
    found: object = document
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _with_value(table: Document, path: Sequence[str], value: object) -> Document:
    key, *rest = path
    if rest:
        inner = table.get(key)
        value = _with_value(inner if isinstance(inner, dict) else {}, rest, value)
    return {**table, key: value}
