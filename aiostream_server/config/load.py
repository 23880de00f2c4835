"""Load one TOML file and the environment's overrides into a `Config`, or report every mistake at once.

Each mistake is a line: `[table] key: what was expected, got ...`. Secrets are read here only, and no line repeats one.
"""

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from aiostream_server.config.environment import Document, Override, find_overrides, overridden, source_of, split
from aiostream_server.config.explain import KeyPath, explain, locate
from aiostream_server.config.model import Config, RoutingConfig
from aiostream_server.config.pointers import Surroundings
from aiostream_server.errors import ConfigError
from aiostream_server.unreadable import why_unreadable

_LINE_AND_COLUMN: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_WANTS_TEXT: Final = frozenset({"string_type", "path_type", "literal_error"})
_DEMO_MODEL: Final = {"default": {"provider": "demo"}}
_STAND_IN: Final = {"factory": "aiostream_server.teams.general:build"}
_ATTEMPTS: Final = 3  # dropping a broken table may reveal a mistake in another


@dataclass(frozen=True, slots=True)
class Beside:
    """What a program that embeds the server provides itself. The configuration may name its models."""

    models: frozenset[str] = frozenset()
    has_teams: bool = False


_NOTHING: Final = Beside()


def load_config(
    path: Path | None,
    environ: Mapping[str, str],
    beside: Beside = _NOTHING,
    *,
    needs_secrets: bool = True,
    section: str | None = None,
) -> Config:
    """Load the whole configuration; without a file, the defaults. Raises `ConfigError`.

    Without any `[models.*]` table the demo model is the `default` one, and `Config.notes` says so. With
    `needs_secrets=False` a missing secret is no mistake: `Config.unread` names it. `section` loads this table only, so
    that managing keys does not need the secrets and databases that the rest of the file names.
    """
    try:
        document = _read(path) if path else {}
        overrides = find_overrides(document, environ)
        if section is not None:
            document = {name: table for name, table in document.items() if name == section}
            overrides = [override for override in overrides if override.path[0] == section]
        folder = path.absolute().parent if path else Path.cwd()
        return _validated(document, overrides, folder, environ, beside, needs_secrets=needs_secrets)
    except RecursionError:
        raise ConfigError([f"{path or 'environment'}: lists or tables are nested too deeply"]) from None


def config_of(document: Document, environ: Mapping[str, str], beside: Beside = _NOTHING) -> Config:
    """As `load_config`, of tables instead of a file. Relative paths start at the current folder."""
    return _validated(document, find_overrides(document, environ), Path.cwd(), environ, beside)


def load_sound_tables(path: Path | None, environ: Mapping[str, str]) -> Config | None:
    """Load the tables of a broken configuration that have no mistake, to check what they name. Never served.

    A broken team is replaced by a built-in one, so that the others keep their numbers. None if the file is no TOML.
    """
    try:
        document = _read(path) if path else {}
        overrides, _ = split(find_overrides(document, environ))
        whole = _with_a_model(overridden(document, overrides, set()), _NOTHING)
        around = _surroundings(whole, path.absolute().parent if path else Path.cwd(), environ, _NOTHING)
        for _ in range(_ATTEMPTS):
            try:
                config = Config.model_validate(whole, context=around)
            except ValidationError as exc:
                whole = _without(whole, {locate(detail).path for detail in exc.errors()}, around.tables["models"] or ())
            else:
                return config.model_copy(update={"routing": RoutingConfig()})  # routing may name a replaced team
    except (ConfigError, RecursionError):
        pass
    return None


def _without(document: Document, broken: Iterable[KeyPath], models: Collection[str]) -> Document:
    left: dict[str, Any] = dict(document)  # any TOML value
    for path in broken:
        match path:
            case ("teams", int(index), *_) if "teams" in left:
                stand_in = {**_STAND_IN, "id": f"stand-in-{index}", "model": min(models, default="default")}
                left["teams"] = [stand_in if at == index else team for at, team in enumerate(left["teams"])]
            case ("models" | "database" | "tools" as kind, str(name), *_) if kind in left:
                left[kind] = {each: table for each, table in left[kind].items() if each != name}
            case (section, *_):
                left.pop(str(section), None)
    return left


def _validated(
    document: Document,
    overrides: list[Override],
    folder: Path,
    environ: Mapping[str, str],
    beside: Beside,
    *,
    needs_secrets: bool = True,
) -> Config:
    overrides, problems = split(overrides)
    as_text: set[tuple[str, ...]] = set()
    while True:
        whole = _with_a_model(overridden(document, overrides, as_text), beside)
        around = replace(_surroundings(whole, folder, environ, beside), needs_secrets=needs_secrets)
        try:
            config = Config.model_validate(whole, context=around)
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
    others = {kind: _names(document.get(kind, {})) for kind in ("database", "tools")}
    around = Surroundings(
        folder=folder,
        environ=environ,
        tables={"models": None if models is None else models | beside.models, **others},
        teams=_ids(document.get("teams", [])),
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
        raise ConfigError([f"{path}: cannot be read: {why_unreadable(exc)}"]) from None
    try:
        text = content.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except UnicodeDecodeError as exc:
        raise ConfigError([_at(path, content[: exc.start].decode(), "this byte is not UTF-8")]) from None
    try:
        return tomllib.loads(text)
    except ValueError as exc:
        raise ConfigError([_syntax_problem(path, text, str(exc))]) from None


def _syntax_problem(path: Path, text: str, message: str) -> str:
    found = _LINE_AND_COLUMN.search(message)
    if found is None:  # no syntax error, but a value that Python refuses: a number of 5,000 digits
        return f"{path}: {message}"
    what = message[: found.start()].lower()
    if found[1] is None:
        return _at(path, text, what)
    return f"{path}: line {found[1]}, column {found[2]}: {what}"


def _at(path: Path, before: str, what: str) -> str:
    return f"{path}: line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}: {what}"
