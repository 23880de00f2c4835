"""`aiostream-server teams`: list what a configuration serves, without starting a server."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from aiostream_server.cli.options import LazyCommand, LazyGroup, config_option, find_modules_beside, tell_unread
from aiostream_server.cli.printing import aligned_rows, one_line
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.errors import ConfigError

_HEAD: Final = ("ID", "NAME", "MODEL", "SOURCE", "DESCRIPTION")
_LAZY: Final = {
    "add": LazyCommand("aiostream_server.cli.teams_add", "add", "Add a team: a JSON file of AutoGen."),
    "show": LazyCommand(
        "aiostream_server.cli.teams_show", "show", "Show the agents of a team, and who speaks to whom."
    ),
    "try": LazyCommand("aiostream_server.cli.teams_try", "try_team", "Ask a team a question, here and now."),
}


@click.group(cls=LazyGroup, lazy=_LAZY)
def teams() -> None:
    """List, show, try and add teams. `check` says whether they can be built."""


@teams.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As a JSON list of objects.")
def list_teams(config_path: Path | None, as_json: bool) -> None:
    """List the teams. Clients ask for them by their ID; `auto` chooses one of them."""
    config = load_config(config_path, os.environ, needs_secrets=False)
    tell_unread(config.unread)
    find_modules_beside(config_path)  # files of a team folder may import them
    teams, problems = _served(config)
    found = [_facts(team) for team in teams]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        rows = [[one_line(str(team[head.lower()] or "")) for head in _HEAD] for team in found]
        for line in aligned_rows([_HEAD, *rows]):
            click.echo(line)
    if problems:
        raise ConfigError(problems)


def _served(config: Config) -> tuple[Sequence[TeamConfig], Sequence[str]]:
    """The teams that can be served, and the problems of the others."""
    if config.teams and not config.team_folders:
        return config.teams, ()
    from aiostream_server.teams.served import served_teams  # loads the agents' libraries

    teams, problems = served_teams(config)
    return [team.config for team in teams], problems


def _facts(team: TeamConfig) -> Mapping[str, str | None]:
    """`model` is None for a component that uses its own models."""
    return {
        "id": team.id,
        "name": team.name or team.id,
        "description": team.description,
        "source": team.factory or str(team.component),
        "model": team.model if team.factory or "model" in team.model_fields_set else None,
    }
