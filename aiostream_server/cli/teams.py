"""`aiostream-server teams`: what a configuration serves, without starting it."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from aiostream_server.cli.options import config_option
from aiostream_server.cli.table import shown, table
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, TeamConfig

_HEAD: Final = ("ID", "NAME", "MODEL", "SOURCE", "DESCRIPTION")


@click.group()
def teams() -> None:
    """Show the teams that a configuration serves. `check` says whether they can be built."""


@teams.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="As a JSON list of objects.")
def list_teams(config_path: Path | None, as_json: bool) -> None:
    """List the teams. Clients ask for them by their ID; `auto` chooses one of them."""
    config = load_config(config_path, os.environ)
    found = [_facts(team) for team in _served(config)]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for line in table([_HEAD, *([shown(str(team[head.lower()] or "")) for head in _HEAD] for team in found)]):
        click.echo(line)


def _served(config: Config) -> Sequence[TeamConfig]:
    if config.teams:
        return config.teams
    from aiostream_server.teams.catalogue import BUILT_IN  # loads the agents' libraries

    return BUILT_IN


def _facts(team: TeamConfig) -> Mapping[str, str | None]:
    """`model` is None where a component brings its own."""
    return {
        "id": team.id,
        "name": team.name or team.id,
        "description": team.description,
        "source": team.factory or str(team.component),
        "model": team.model if team.factory else None,
    }
