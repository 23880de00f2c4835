"""What `aiostream-server teams add` does with a file.

It is read, judged, and built once with the models of the configuration; only then anything is written.
"""

import asyncio
import json
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiostream_server.cli.options import find_modules_beside
from aiostream_server.cli.table import shown
from aiostream_server.config.adding import Value, add_tables, replace_file, table_text
from aiostream_server.config.load import Beside, load_config
from aiostream_server.config.model import RESERVED_IDS, Config, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.teams.components import Component, find_problems, prepare, read_component, try_out
from aiostream_server.teams.components.description import Description, describe, own_description
from aiostream_server.teams.components.secrets import may_hold_secrets
from aiostream_server.teams.served import BUILT_IN, served_teams

_FOLDER: Final = "teams"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_ID: Final = 48


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was told; None is what the file says itself."""

    choose: str | None
    team_id: str | None
    name: str | None
    description: str | None
    model: str | None
    trusted: bool
    replace: bool = False


def add_team(file: Path, config_path: Path, wanted: Wanted) -> Iterator[str]:
    """Lines that say what was found, and then what was done. Raises `ConfigError`, and then nothing was."""
    config = load_config(config_path, os.environ, Beside(has_teams=True))  # it need not make sense without the new one
    component = read_component(file, wanted.choose)
    found = describe(component)
    yield from _told(file, found)
    find_modules_beside(config_path)
    title = wanted.name or found.title or file.stem
    if wanted.replace:
        yield from _replace(file, component, config, wanted.team_id or _id_of(title))
        return
    _look_at(file, component, config, trusted=wanted.trusted, model=wanted.model)
    taken = {team.config.id for team in served_teams(config).teams}
    team_id = _checked_id(wanted.team_id, taken) if wanted.team_id else _free_id(title, taken)
    stored = _free_path(config_path.parent / _FOLDER / f"{team_id}.json")
    keys: dict[str, Value] = {
        "id": team_id,
        "name": _one_line(title),
        "description": _one_line(own_description(component) if wanted.description is None else wanted.description),
        "component": f"{_FOLDER}/{stored.name}",
        "model": wanted.model or "",
        "trusted": wanted.trusted,
    }
    built_in = () if config.teams or config.team_folders or "default" not in config.models else BUILT_IN
    is_private = may_hold_secrets(component)
    tables = [*map(_built_in_table, built_in), table_text("teams", keys)]
    add_tables(config_path, tables, os.environ, {stored: _written(component)}, private=is_private)
    yield f"Added to {config_path} as {team_id}; the team itself is {stored}."
    if built_in:
        ids = " and ".join(team.id for team in built_in)
        yield f"The built-in teams {ids} were served because no other was: now they stand in the file, too."
    if not wanted.team_id and (same := _id_of(title)) in taken:
        yield f"There is a team {same} beside it, as before: `--replace` would have put this one into its place."
    yield from _what_now(stored, is_private=is_private)


def _told(file: Path, found: Description) -> Iterator[str]:
    yield f"{found.title or found.kind}, in {file.name}:"
    for line in found.lines():
        yield f"  {line}"


def _refuse(file: Path, problems: Sequence[str], to_add: Sequence[str] = ()) -> None:
    if problems:
        raise ConfigError([shown(f"{file}: {problem}") for problem in problems], to_add)


def _replace(file: Path, component: Component, config: Config, team_id: str) -> Iterator[str]:
    """The component of a team that is there, whose table stays as it is and says what this one may do, too."""
    team = next((team for team in config.teams if team.id == team_id), None)
    if team is None:
        raise ConfigError(
            [f'--replace: [[teams]] has none with the id "{team_id}"; name one by --id, or add a new one']
        )
    if team.component is None:
        raise ConfigError([f'--replace: the team "{team_id}" is made by a factory, not of a component file'])
    if team.component.exists() and team.component.samefile(file):
        raise ConfigError([f"--replace: {file} is what that team is made of already"])
    own_model = team.model if "model" in team.model_fields_set else None
    _look_at(file, component, config, trusted=team.trusted, model=own_model)
    is_private = may_hold_secrets(component)
    replace_file(team.component, _written(component), private=is_private)
    yield f"{team_id} is this team now: {team.component} was replaced, and its [[teams]] table stays as it is."
    yield from _what_now(team.component, is_private=is_private)


def _look_at(file: Path, component: Component, config: Config, *, trusted: bool, model: str | None) -> None:
    _refuse(file, find_problems(component, providers=config.components.providers, trusted=trusted))
    asyncio.run(_try_out(file, component, config, trusted=trusted, model=model))


def _written(component: Component) -> bytes:
    return json.dumps(component, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


async def _try_out(file: Path, component: Component, config: Config, *, trusted: bool, model: str | None) -> None:
    async with open_models(config.models, for_components=True) as models:
        try:
            try_out(prepare(component, models, trusted=trusted, model=model))
        except ConfigError as exc:
            _refuse(file, exc.problems, exc.to_add)


def _checked_id(team_id: str, taken: Collection[str]) -> str:
    if not _ID.fullmatch(team_id):
        raise ConfigError(['--id: expected a name of at most 64 lower-case letters, digits, ".", "_" and "-"'])
    if team_id in RESERVED_IDS:
        raise ConfigError([f'--id: "{team_id}" is the server\'s own model id'])
    if team_id in taken:
        raise ConfigError([f'--id: there is a team with the id "{team_id}" already'])
    return team_id


def _id_of(title: str) -> str:
    """Made of what people call it: "Vertriebs-Übersicht (2)" -> vertriebs-ubersicht-2."""
    letters = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:_LONGEST_ID].strip("-") or "team"


def _free_id(title: str, taken: Collection[str]) -> str:
    base = _id_of(title)
    number, free = 1, base
    while free in taken or free in RESERVED_IDS:
        number += 1
        free = f"{base}-{number}"
    return free


def _free_path(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _built_in_table(team: TeamConfig) -> str:
    return table_text(
        "teams",
        {
            "id": team.id,
            "name": team.name,
            "description": team.description,
            "examples": team.examples,
            "factory": team.factory or "",
            "roles": team.roles,
            "answer_from": team.answer_from,
        },
    )


def _what_now(stored: Path, *, is_private: bool) -> Iterator[str]:
    if is_private:
        yield f"{stored} holds an API key, or what may be one (headers, env ...): only its owner and group can read it."
        yield "Where the server is another user, give it to that; a [models.*] table that names the key keeps it safer."
    yield "A running server serves it as soon as it reloads: `systemctl reload aiostream-server`, or SIGHUP; with"
    yield "[server] watch = true it does by itself."


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
