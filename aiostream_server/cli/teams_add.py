"""`aiostream-server teams add`: serve a team that was made elsewhere.

The file is read, checked, and built once with the models of the configuration. Only then is anything written.
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

import click

from aiostream_server.cli.options import FILE, find_modules_beside
from aiostream_server.cli.printing import one_line
from aiostream_server.config.editing import Value, add_tables, replace_file, table_text
from aiostream_server.config.load import Beside, load_config
from aiostream_server.config.model import RESERVED_IDS, Config, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.teams.components.description import describe, may_hold_secrets, own_description
from aiostream_server.teams.components.loading import prepare, try_out
from aiostream_server.teams.components.policy import find_problems
from aiostream_server.teams.components.reading import Component, read_component, title_of
from aiostream_server.teams.served import BUILT_IN, served_teams
from aiostream_server.text import printable_line

_FOLDER: Final = "teams"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_ID: Final = 48


@click.command()
@click.argument("file", type=FILE)
@click.option("--config", "config_path", type=FILE, help="TOML file that the team is added to.")
@click.option("--choose", metavar="NAME", help="Which one, of a gallery of several: its name, or its number.")
@click.option("--id", "team_id", metavar="ID", help="What clients send as the model; else made of its name.")
@click.option("--name", help="What clients show; else its own name.")
@click.option("--description", help="What it is for, which routing reads, too; else its own description.")
@click.option("--model", metavar="NAME", help="Let all of its agents use [models.NAME], whatever they say themselves.")
@click.option("--trust", is_flag=True, help="Let code in it run: only for a file that you have read and trust.")
@click.option(
    "--replace", is_flag=True, help="Put it into the place of the team with its id; the [[teams]] table stays."
)
def add(
    file: Path,
    config_path: Path | None,
    choose: str | None,
    team_id: str | None,
    name: str | None,
    description: str | None,
    model: str | None,
    trust: bool,
    replace: bool,
) -> None:
    """Add the team in FILE: of AutoGen Studio, out of a gallery of Studio, or as `dump_component()` writes it.

    The JSON is put into the folder `teams` beside the configuration, and a [[teams]] table to the end of that.
    """
    if config_path is None:
        raise click.UsageError("which configuration? give --config server.toml; an empty file will do to begin with")
    if replace and (trust or name or description or model):
        raise click.UsageError("--replace leaves the [[teams]] table as it is: change name, model or trust there")
    options = AddOptions(choose, team_id, name, description, model, trust, replace)
    for line in add_team(file, config_path, options):
        click.echo(one_line(line))


@dataclass(frozen=True, slots=True)
class AddOptions:
    """The command's options. None leaves a value as it is in the file."""

    choose: str | None
    team_id: str | None
    name: str | None
    description: str | None
    model: str | None
    trusted: bool
    replace: bool = False


def add_team(file: Path, config_path: Path, options: AddOptions) -> Iterator[str]:
    """Yield lines that say what was found and what was done. Raises `ConfigError`; nothing is changed then."""
    config = load_config(config_path, os.environ, Beside(has_teams=True))  # may lack what only the new team brings
    component = read_component(file, options.choose)
    yield from _description(file, component)
    find_modules_beside(config_path)
    title = options.name or title_of(component) or file.stem
    if options.replace:
        yield from _replace(file, component, config, options.team_id or _id_of(title))
        return
    _check(file, component, config, trusted=options.trusted, model=options.model)
    taken = {team.config.id for team in served_teams(config).teams}
    team_id = _checked_id(options.team_id, taken) if options.team_id else _free_id(title, taken)
    stored = _free_path(config_path.parent / _FOLDER / f"{team_id}.json")
    description = own_description(component) if options.description is None else options.description
    keys: dict[str, Value] = {
        "id": team_id,
        "name": printable_line(title),
        "description": printable_line(description),
        "component": f"{_FOLDER}/{stored.name}",
        "model": options.model or "",
        "trusted": options.trusted,
    }
    built_in = () if config.teams or config.team_folders or "default" not in config.models else BUILT_IN
    is_private = may_hold_secrets(component)
    tables = [*map(_built_in_table, built_in), table_text("teams", keys)]
    add_tables(config_path, tables, os.environ, {stored: _as_json(component)}, private=is_private)
    yield f"Added to {config_path} as {team_id}; the team itself is {stored}."
    if built_in:
        ids = " and ".join(team.id for team in built_in)
        yield f"The built-in teams {ids} were served because the file had no teams: they are in the file now."
    if not options.team_id and (same := _id_of(title)) in taken:
        yield f"The team {same} stays as it was: `--replace` puts the new one into its place."
    yield from _what_now(stored, is_private=is_private)


def _description(file: Path, component: Component) -> Iterator[str]:
    kind = str(component["provider"]).rpartition(".")[2]
    yield f"{title_of(component) or kind}, in {file.name}:"
    for line in describe(component):
        yield f"  {line}"


def _refuse(file: Path, problems: Sequence[str], to_add: Sequence[str] = ()) -> None:
    if problems:
        raise ConfigError([one_line(f"{file}: {problem}") for problem in problems], to_add)


def _replace(file: Path, component: Component, config: Config, team_id: str) -> Iterator[str]:
    """Replace the component file of a team. Its [[teams]] table, and so `trusted` and `model`, stay."""
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
    _check(file, component, config, trusted=team.trusted, model=own_model)
    is_private = may_hold_secrets(component)
    replace_file(team.component, _as_json(component), private=is_private)
    yield f"{team_id} is this team now: {team.component} was replaced, and its [[teams]] table stays as it is."
    yield from _what_now(team.component, is_private=is_private)


def _check(file: Path, component: Component, config: Config, *, trusted: bool, model: str | None) -> None:
    allowed = config.components
    _refuse(file, find_problems(component, providers=allowed.providers, trusted=trusted, hosts=allowed.hosts))
    asyncio.run(_try_out(file, component, config, trusted=trusted, model=model))


def _as_json(component: Component) -> bytes:
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
    """Make an id of a title: "Vertriebs-Übersicht (2)" -> vertriebs-ubersicht-2."""
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
        yield f"{stored} may hold an API key (in headers, env ...): only its owner and group can read it."
        yield "A server that runs as another user needs to own it. A [models.*] table that names the key is safer."
    yield "A running server serves it once it reloads: `systemctl reload aiostream-server`, or SIGHUP. With"
    yield "[server] watch = true it reloads by itself."
