"""One TOML file and the environment's overrides -> `Config`, or every mistake at once.

A file that holds a value in a wrong place, a wrong type or a name that nothing has is reported line by line:
`[table] key: what was expected (got ...)`. Secrets are read here and nowhere else; no line ever repeats one.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from aiostream_server.config.explain import explain, locate
from aiostream_server.config.model import AuthConfig, Config, ConversationsConfig
from aiostream_server.config.overrides import Document, Override, find_overrides, overridden, source_of, split
from aiostream_server.config.pointers import Surroundings
from aiostream_server.errors import ConfigError

_LINE_AND_COLUMN: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_WANTS_TEXT: Final = frozenset({"string_type", "path_type", "literal_error"})
_DEMO_MODEL: Final = {"default": {"provider": "demo"}}


@dataclass(frozen=True, slots=True)
class Beside:
    """What a program that embeds the server has beside the configuration, which may name it."""

    models: frozenset[str] = frozenset()
    has_teams: bool = False


_NOTHING: Final = Beside()


def load_config(path: Path | None, environ: Mapping[str, str], beside: Beside = _NOTHING) -> Config:
    """The whole configuration; without a file, the defaults. Raises `ConfigError`.

    Without any `[models.*]` table the demo model is the `default` one, and `Config.notes` says so.
    """
    return _load(path, environ, beside=beside)


def config_of(document: Document, environ: Mapping[str, str], beside: Beside = _NOTHING) -> Config:
    """The same of what stands in no file; relative paths start at the current folder."""
    return _validated(document, find_overrides(document, environ), Path.cwd(), environ, beside)


def load_auth(path: Path, environ: Mapping[str, str]) -> AuthConfig:
    """`[auth]` alone: managing keys needs none of the secrets and databases that the rest of the file names."""
    return _load(path, environ, section="auth").auth


def load_conversations(path: Path | None, environ: Mapping[str, str]) -> ConversationsConfig:
    """`[conversations]` alone, for the same reason."""
    return _load(path, environ, section="conversations").conversations


def _load(
    path: Path | None, environ: Mapping[str, str], section: str | None = None, beside: Beside = _NOTHING
) -> Config:
    try:
        document = _read(path) if path else {}
        overrides = find_overrides(document, environ)
        if section is not None:
            document = {name: table for name, table in document.items() if name == section}
            overrides = [override for override in overrides if override.path[0] == section]
        folder = path.absolute().parent if path else Path.cwd()
        return _validated(document, overrides, folder, environ, beside)
    except RecursionError:
        raise ConfigError([f"{path or 'environment'}: lists or tables are nested too deeply"]) from None


def _validated(
    document: Document, overrides: list[Override], folder: Path, environ: Mapping[str, str], beside: Beside
) -> Config:
    overrides, problems = split(overrides)
    as_text: set[tuple[str, ...]] = set()
    while True:
        whole = _with_a_model(overridden(document, overrides, as_text), beside)
        try:
            config = Config.model_validate(whole, context=_surroundings(whole, folder, environ, beside))
        except ValidationError as exc:
            if wrong := _wanted_as_text(exc, overrides) - as_text:
                as_text |= wrong
                continue
            problems += explain(exc, whole, lambda at: source_of(at, document, overrides))
        if problems:
            raise ConfigError(problems)
        return config


def _wanted_as_text(error: ValidationError, overrides: list[Override]) -> set[tuple[str, ...]]:
    wrong = {locate(detail).path for detail in error.errors() if detail["type"] in _WANTS_TEXT}
    return {override.path for override in overrides if override.path in wrong}


def _with_a_model(document: Document, beside: Beside) -> Document:
    has_model = beside.models or document.get("models", {}) != {}
    return document if has_model else {**document, "models": _DEMO_MODEL}


def _surroundings(document: Document, folder: Path, environ: Mapping[str, str], beside: Beside) -> Surroundings:
    models = _names(document.get("models", {}))
    around = Surroundings(
        folder=folder,
        environ=environ,
        models=None if models is None else models | beside.models,
        databases=_names(document.get("database", {})),
        teams=_ids(document.get("teams", [])),
        tools=_names(document.get("tools", {})),
        has_other_teams=beside.has_teams or bool(document.get("team_folders")),
    )
    if document.get("models") is _DEMO_MODEL:
        around.notes.append("there is no [models.*] table: the demo model answers, which is no language model")
    return around


def _names(tables: object) -> frozenset[str] | None:
    return frozenset(tables) if isinstance(tables, dict) else None


def _ids(teams: object) -> tuple[str, ...] | None:
    if not isinstance(teams, list):
        return None
    ids = (team.get("id") for team in teams if isinstance(team, dict))
    return tuple(team_id for team_id in ids if isinstance(team_id, str))


def _read(path: Path) -> Document:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigError([f"{path}: cannot be read: {(exc.strerror or 'unreadable').lower()}"]) from None
    try:
        text = content.decode("utf-8-sig")  # editors on Windows put a mark at the beginning
    except UnicodeDecodeError as exc:
        raise ConfigError([_at(path, content[: exc.start].decode(), "this byte is not UTF-8")]) from None
    try:
        return tomllib.loads(text)
    except ValueError as exc:
        raise ConfigError([_syntax_problem(path, text, str(exc))]) from None


def _syntax_problem(path: Path, text: str, message: str) -> str:
    found = _LINE_AND_COLUMN.search(message)
    if found is None:  # not TOML's grammar, but what Python makes of it: a number of 5,000 digits
        return f"{path}: {message}"
    what = message[: found.start()].lower()
    if found[1] is None:
        return _at(path, text, what)
    return f"{path}: line {found[1]}, column {found[2]}: {what}"


def _at(path: Path, before: str, what: str) -> str:
    return f"{path}: line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}: {what}"
